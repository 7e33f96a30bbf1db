import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { OperationRule } from '../../../src/proxy/agent-operations.ts';
import { AgentOperations, OperationList } from '../../../src/proxy/agent-operations.ts';
import { BodySearch } from '../../../src/soap/body-search.ts';

const LIMITS = { match: 'loose', maxBytes: 65_536, maxDepth: 12 } as const;
const WORK_MODE = { operation: 'setCurrentWorkmode', element: 'workmode', value: '1' };

function operations(...logoff: OperationRule[]): AgentOperations {
  return new AgentOperations({
    logon: new OperationList([], LIMITS),
    logoff: new OperationList(logoff, LIMITS),
    maxBytes: LIMITS.maxBytes,
  });
}

const envelope = (body: string): Buffer =>
  Buffer.from(
    `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>${body}</e:Body></e:Envelope>`,
  );
const workMode = (value: string): Buffer =>
  envelope(
    `<m:setCurrentWorkmode xmlns:m="u"><user>X</user><workmode>${value}</workmode></m:setCurrentWorkmode>`,
  );
const ANSWER = envelope('<setCurrentWorkmodeResponse/>');
const FAULT = envelope('<e:Fault><faultcode>e:Server</faultcode></e:Fault>');

interface Case {
  readonly head?: Buffer;
  readonly headers?: Record<string, string>;
  readonly complete?: boolean;
  readonly status?: number;
  readonly whole?: Buffer | undefined;
  readonly responseHeaders?: Buffer[];
}

function isLogoff(list: AgentOperations, given: Case = {}): Promise<boolean> {
  const { head = workMode('1'), headers = {}, complete = true, status = 200, responseHeaders = [] } = given;
  const body = { head, complete, collect: async () => {} };
  const whole = 'whole' in given ? given.whole : ANSWER;
  return list.isLogoff({ body, raw: { headers }, operation: undefined }, status, { whole, responseHeaders });
}

describe('a request with which an agent logs off', () => {
  const list = operations(WORK_MODE);

  test.each<[string, Case]>([
    ['as configured', {}],
    ['with space around the value', { head: workMode(' 1\n') }],
    ['with the value in CDATA', { head: workMode('<![CDATA[1]]>') }],
    ['compressed', { head: gzipSync(workMode('1')), headers: { 'content-encoding': 'gzip' } }],
    ['in UTF-16', { head: Buffer.from(`\ufeff${workMode('1')}`, 'utf16le') }],
    ['in other letters', { head: Buffer.from(String(workMode('1')).replaceAll('workmode', 'WORK_MODE')) }],
    ['answered with no body', { status: 204, whole: Buffer.alloc(0) }],
    [
      'answered compressed',
      {
        whole: gzipSync(ANSWER),
        responseHeaders: ['Content-Encoding', 'gzip'].map((text) => Buffer.from(text)),
      },
    ],
  ])('%s', async (_, given) => {
    expect(await isLogoff(list, given)).toBe(true);
  });

  test.each<[string, Case]>([
    ['has another value', { head: workMode('10') }],
    ['has no value', { head: envelope('<setCurrentWorkmode/>') }],
    [
      'is another operation with that element',
      { head: envelope('<makeCall><workmode>1</workmode></makeCall>') },
    ],
    [
      'has the operation in a text',
      { head: envelope('<log>setCurrentWorkmode<workmode>1</workmode></log>') },
    ],
    [
      'has the operation inside another one',
      { head: envelope('<log><setCurrentWorkmode><workmode>1</workmode></setCurrentWorkmode></log>') },
    ],
    [
      'names it in SOAPAction alone',
      { head: envelope('<log/>'), headers: { soapaction: '"setCurrentWorkmode"' } },
    ],
    ['is only held in part', { complete: false }],
    ['is no XML', { head: Buffer.from('setCurrentWorkmode workmode 1') }],
    ['is answered with a Fault', { whole: FAULT }],
    ['is answered with a Fault and status 500', { status: 500, whole: FAULT }],
    ['is answered with an error', { status: 503 }],
    ['is answered with a page', { whole: Buffer.from('<html><body>ok</body></html>') }],
    ['has an answer that was too large to be held', { whole: undefined }],
  ])('is none if it %s', async (_, given) => {
    expect(await isLogoff(list, given)).toBe(false);
  });

  test('may be any of several', async () => {
    const several = operations({ operation: 'logOff' }, { ...WORK_MODE, value: '7' }, WORK_MODE);

    expect(await isLogoff(several)).toBe(true);
    expect(await isLogoff(several, { head: envelope('<log-off/>') })).toBe(true);
    expect(await isLogoff(several, { head: workMode('2') })).toBe(false);
  });
});

test('what is ruled out without a search is nothing that a search finds', () => {
  const letter = (one: string): fc.Arbitrary<string> =>
    fc.constantFrom(one, one.toUpperCase(), `${one}_`, `${one}-`, 'ä');
  const name = fc.tuple(...[...'logo'].map(letter)).map((letters) => letters.join(''));
  const search = new BodySearch([], { ...LIMITS, wantsOperation: true });
  let included = 0;
  fc.assert(
    fc.property(
      name,
      fc.constantFrom<BufferEncoding>('utf8', 'latin1', 'utf16le'),
      fc.constantFrom('exact', 'loose'),
      (operation, encoding, match) => {
        const list = new OperationList([{ operation: 'logo' }], { ...LIMITS, match });
        const bytes = Buffer.from(String(envelope(`<${operation}/>`)), encoding);
        const found = search.search(bytes, {}, true);
        if (found instanceof Promise) throw new Error('nothing is compressed');
        const isIn =
          found.operation !== undefined && list.includes(found.operation, bytes, {}, true) === true;
        if (isIn) expect(list.mayInclude(bytes, {})).toBe(true);
        included += Number(isIn);
      },
    ),
    { numRuns: 2_000 },
  );
  expect(included).toBeGreaterThan(100);
});
