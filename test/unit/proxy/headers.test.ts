import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RequestHeaderFacts } from '../../../src/proxy/headers.ts';
import { requestHeaders, responseHeaders } from '../../../src/proxy/headers.ts';

const HOP = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];
const name = fc.oneof(
  fc.constantFrom(...HOP, 'Connection', 'X-A', 'x-a', 'X-B', 'Via', 'Cookie', 'Set-Cookie', 'X-Hop'),
  fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,10}$/),
);
const value = fc.oneof(
  fc.constantFrom('x-hop', 'close, X-A', 'keep-alive'),
  fc.stringMatching(/^[!-~\u00a0-\u00ff]{0,12}$/),
);
const fields = fc.array(fc.tuple(name, value), { maxLength: 12 });

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [
    flat[2 * i] as string,
    flat[2 * i + 1] as string,
  ]);
}

function listed(given: readonly (readonly [string, string])[]): Set<string> {
  const values = given.filter(([field]) => field.toLowerCase() === 'connection').map(([, text]) => text);
  return new Set(
    values.flatMap((text) =>
      text
        .toLowerCase()
        .split(',')
        .map((token) => token.trim()),
    ),
  );
}

const FACTS: Omit<RequestHeaderFacts, 'rawHeaders' | 'connectionTokens'> = {
  host: 'h',
  contentLength: undefined,
  peerAddress: '10.0.0.9',
  peerTrusted: false,
  scheme: 'http',
  clientHost: 'h',
  requestIdHeader: 'x-request-id',
  requestId: 'id',
  via: '1.1 ici-gateway',
  maxForwards: undefined,
  keepsLookAlikes: false,
};

describe('the header of a response', () => {
  test('never holds a hop-by-hop field nor one that Connection lists', () => {
    fc.assert(
      fc.property(fields, (given) => {
        const raw = given.flat().map((text) => Buffer.from(text, 'latin1'));
        const names = pairs(responseHeaders(raw, 'x-request-id', 'id')).map(([field]) => field.toLowerCase());
        const hop = listed(given);
        for (const field of names) {
          expect(HOP).not.toContain(field);
          if (field !== 'x-request-id') expect(hop.has(field)).toBe(false);
        }
      }),
    );
  });

  test('holds everything else, in order and spelling', () => {
    fc.assert(
      fc.property(fields, (given) => {
        const raw = given.flat().map((text) => Buffer.from(text, 'latin1'));
        const hop = listed(given);
        const kept = given.filter(([field]) => {
          const lower = field.toLowerCase();
          return !HOP.includes(lower) && !hop.has(lower);
        });
        expect(pairs(responseHeaders(raw, 'x-request-id', 'id')).slice(0, kept.length)).toEqual(kept);
      }),
    );
  });

  test('keeps the request id that the instance gave', () => {
    const raw = ['X-Request-Id', 'theirs'].map((text) => Buffer.from(text));
    expect(responseHeaders(raw, 'x-request-id', 'ours')).toEqual(['X-Request-Id', 'theirs']);
  });
});

describe('the header of a request', () => {
  test('never holds a hop-by-hop field, one that Connection lists, or forwarding headers from a client that is not a trusted proxy', () => {
    fc.assert(
      fc.property(fields, (given) => {
        const tokens = [...listed(given)];
        const spoofed = [...given, ['X-Forwarded-For', '6.6.6.6'], ['Forwarded', 'for=6.6.6.6']];
        const sent = pairs(
          requestHeaders({ ...FACTS, rawHeaders: spoofed.flat(), connectionTokens: tokens }),
        );
        const names = sent.map(([field]) => field.toLowerCase());
        for (const hop of HOP) expect(names).not.toContain(hop);
        expect(sent.flat()).not.toContain('6.6.6.6');
        expect(names.filter((field) => field === 'host')).toHaveLength(1);
        expect(sent).toContainEqual(['x-forwarded-for', '10.0.0.9']);
      }),
    );
  });

  test('continues the chain of a trusted proxy over all its lines', () => {
    const rawHeaders = ['X-Forwarded-For', '10.0.0.1', 'x-forwarded-for', '10.0.0.2, 10.0.0.3'];
    const sent = pairs(
      requestHeaders({ ...FACTS, peerTrusted: true, rawHeaders, connectionTokens: undefined }),
    );
    expect(sent).toContainEqual(['x-forwarded-for', '10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.9']);
  });

  const namesSent = (rawHeaders: string[], facts: Partial<RequestHeaderFacts> = {}): string[] =>
    pairs(requestHeaders({ ...FACTS, ...facts, rawHeaders, connectionTokens: undefined })).map(
      ([field]) => field,
    );

  test.each(['X-Real-IP', 'True-Client-IP', 'X-Forwarded-Prefix', 'X-Forwarded-Server', 'Forwarded'])(
    'holds %s only from a trusted proxy',
    (field) => {
      expect(namesSent([field, '6.6.6.6'])).not.toContain(field);
      expect(namesSent([field, '6.6.6.6'], { peerTrusted: true })).toContain(field);
    },
  );

  test.each([
    'Transfer_Encoding',
    'Content_Length',
    'X_Forwarded_For',
    'X-Forwarded_For',
    'x_real_ip',
    'Proxy_Connection',
    'X_Request_ID',
  ])('holds the look-alike %s only if they are kept', (field) => {
    for (const peerTrusted of [false, true]) {
      expect(namesSent([field, '1'], { peerTrusted })).not.toContain(field);
      expect(namesSent([field, '1'], { peerTrusted, keepsLookAlikes: true })).toContain(field);
    }
  });

  test('holds other fields with underscores', () => {
    expect(namesSent(['soap_user', 'x', 'X_A', 'y'])).toEqual(expect.arrayContaining(['soap_user', 'X_A']));
  });
});
