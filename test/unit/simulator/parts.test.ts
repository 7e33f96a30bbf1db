import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Deliveries } from '../../../src/simulator/deliveries.ts';
import { Histogram } from '../../../src/simulator/histogram.ts';
import { parseBehaviour } from '../../../src/simulator/misbehaviour.ts';
import { seededRandom } from '../../../src/simulator/random.ts';
import { Sessions } from '../../../src/simulator/sessions.ts';
import {
  decodeBody,
  readCookie,
  readElement,
  readMessage,
  writeMessage,
} from '../../../src/simulator/wire.ts';
import { writeFault } from '../../../src/soap/writer.ts';
import { histogramOf } from '../../support/histogram-of.ts';

describe('the simulated wire format', () => {
  test('preserves every parameter, whatever characters it has', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\u0020-\ud7ff]*$/), (value) => {
        const message = readMessage(writeMessage('1.1', 'subscribe', [['user', value]]));
        expect(message.method).toBe('subscribe');
        expect(message.parameter('user')).toBe(value.trim());
      }),
    );
  });

  test('distinguishes SOAP 1.2 from SOAP 1.1, also in Faults', () => {
    expect(readMessage(writeMessage('1.2', 'x', [])).version).toBe('1.2');
    expect(readMessage(writeMessage('1.1', 'x', [])).version).toBe('1.1');
    expect(writeFault('1.1', { code: 'Client', reason: 'unknown session' })).toContain(
      '<faultcode>SOAP-ENV:Client</faultcode>',
    );
    expect(writeFault('1.2', { code: 'Client', reason: 'unknown session' })).toContain(
      '<env:Value>env:Sender</env:Value>',
    );
  });

  test('recognizes a method by its local name, with or without an interface prefix', () => {
    const body = (inner: string) =>
      `<s:Envelope xmlns:s="x"><s:Body>\n<!-- a < b -->${inner}</s:Body></s:Envelope>`;
    expect(readMessage(body('<m:getAttributes xmlns:m="y"/>')).method).toBe('getAttributes');
    expect(readMessage(body('<iciUser.getAttributes/>')).method).toBe('getAttributes');
    expect(readMessage('not xml').method).toBe('');
  });

  test('reads CDATA and numeric references', () => {
    expect(readElement('<a:user xsi:type="s"><![CDATA[M&M]]></a:user>', 'user')).toBe('M&M');
    expect(readElement('<user>M&#xfc;ller&#65;</user>', 'user')).toBe('MüllerA');
    expect(readElement('<userId>X</userId>', 'user')).toBeUndefined();
  });

  test('reads a body in the encoding that it declares', () => {
    const document = '<user>MÜLLER</user>';
    const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(document, 'utf16le')]);
    expect(decodeBody(utf16)).toBe(document);
    expect(decodeBody(Buffer.from(document))).toBe(document);
    expect(decodeBody(Buffer.from(document, 'latin1'), 'text/xml; charset="iso-8859-1"')).toBe(document);
    const declared = `<?xml version="1.0" encoding="ISO-8859-1"?>${document}`;
    expect(decodeBody(Buffer.from(declared, 'latin1'), 'text/xml')).toBe(declared);
  });

  test('does not decode a session cookie', () => {
    const value = 'SID%3aANON%3acrmapp1_CRP_00%3aa-b_c=.-NEW';
    expect(readCookie(`sap-usercontext=sap-client=100; WS_SESSION_ID=${value}`, 'WS_SESSION_ID')).toBe(value);
    expect(readCookie(`ws_session_id=${value}`, 'WS_SESSION_ID')).toBeUndefined();
  });
});

describe('a histogram', () => {
  test('overestimates quantiles by at most 0.1 % and a microsecond', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.05, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
        fc.constantFrom(0.5, 0.9, 0.99, 1),
        (durations, share) => {
          const sorted = durations.toSorted((a, b) => a - b);
          const exact = sorted[Math.max(1, Math.floor(share * sorted.length + 0.5)) - 1] as number;
          const found = histogramOf(durations).quantile(share);
          expect(found).toBeGreaterThanOrEqual(exact * 0.999_999);
          expect(found).toBeLessThanOrEqual(exact * 1.001 + 0.001);
        },
      ),
    );
  });

  test('is all zero while it is empty', () => {
    expect(new Histogram().summary()).toEqual({ count: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 });
  });
});

describe('the delivery count', () => {
  test('reports an id that arrived twice, with its headers and bodies', () => {
    const deliveries = new Deliveries(10);
    deliveries.started(['once']);
    deliveries.completed(['once']);
    deliveries.started(['twice']);
    deliveries.started(['twice']);
    deliveries.completed(['twice']);
    expect(deliveries.report(true)).toEqual({
      total: 3,
      completed: 2,
      duplicates: ['twice'],
      ids: { once: { started: 1, completed: 1 }, twice: { started: 2, completed: 1 } },
    });
  });

  test('forgets the oldest ids beyond its limit, but no duplicates', () => {
    const deliveries = new Deliveries(2);
    for (const id of ['x', 'x', 'b', 'c', 'd']) deliveries.started([id]);
    expect(deliveries.report(true).duplicates).toEqual(['x']);
    expect(Object.keys(deliveries.report(true).ids ?? {})).toEqual(['c', 'd']);
  });
});

describe('sessions of a connector', () => {
  test('are found by user in any letter case, and by session id without a user', () => {
    const sessions = new Sessions();
    sessions.subscribe('Agent1', 's1', 'app', 'http://crm/');
    expect(sessions.find(' AGENT1 ', 'other')?.user).toBe('AGENT1');
    expect(sessions.find('', 's1')?.user).toBe('AGENT1');
    expect(sessions.find('', '')).toBeUndefined();
  });

  test('keep their subscriptions until the agent logs on with another session id', () => {
    const sessions = new Sessions();
    sessions.subscribe('U', 's1', 'ui', '');
    const first = sessions.subscribe('U', 's1', 'container', '');
    expect([...(first?.subscriptions.keys() ?? [])]).toEqual(['ui', 'container']);
    const second = sessions.subscribe('U', 's2', 'ui2', '');
    expect([...(second?.subscriptions.keys() ?? [])]).toEqual(['ui2']);
    expect(sessions.size).toBe(1);
  });
});

describe('a misbehaviour', () => {
  test('is parsed with all its properties', () => {
    const behaviour = { mode: 'slow', ms: 10, appliesTo: 'soap', forMs: 100, probability: 0.5 };
    expect(parseBehaviour(JSON.stringify(behaviour))).toEqual(behaviour);
  });

  test.each([
    ['not json', 'not JSON'],
    ['[]', 'mode must be one of'],
    ['{"mode":"explode"}', 'mode must be one of'],
    ['{"mode":"slow","ms":-1}', 'ms must be a number'],
    ['{"mode":"slow","probability":2}', 'probability must be a number'],
    ['{"mode":"slow","wait":1}', 'unknown property wait'],
  ])('%s is refused: %s', (json, reason) => {
    expect(() => parseBehaviour(json)).toThrow(reason);
  });
});

test('the same seed gives the same numbers, another seed others, all from 0 to below 1', () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 100 }, () => random());
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  expect(Math.min(...draw(7))).toBeGreaterThanOrEqual(0);
  expect(Math.max(...draw(7))).toBeLessThan(1);
});
