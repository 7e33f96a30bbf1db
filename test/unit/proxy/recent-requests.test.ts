import { Writable } from 'node:stream';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { RequestFacts } from '../../../src/proxy/access-log.ts';
import { AccessLog, RequestRing } from '../../../src/proxy/access-log.ts';
import { RecentRequests } from '../../../src/proxy/recent-requests.ts';
import type { RequestContext } from '../../../src/proxy/request-context.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

const REQUEST: RequestFacts = {
  requestId: 'r-0',
  client: '10.0.0.9',
  pool: 'ici',
  user: 'MILLER',
  session: `~${'d'.repeat(22)}`,
  source: 'header',
  instance: 'a',
  decision: 'bound',
  operation: 'getParts',
  act: undefined,
  status: 200,
  code: undefined,
  attempts: 1,
  durationMs: 12.345,
  instanceMs: 2.5,
  waitedMs: 0,
};

/** @param textBytes at least two of the longest texts */
function ringOf(size: number, requests: readonly Partial<RequestFacts>[], textBytes = 65_536) {
  const ring = new RequestRing(size, textBytes);
  const add = (...more: readonly Partial<RequestFacts>[]) => {
    for (const one of more) ring.add({ ...REQUEST, ...one });
  };
  add(...requests);
  return { ring, add, recent: new RecentRequests(ring, undefined) };
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => ({ requestId: `r-${from + i}` }));
const ids = ({ requests }: ReturnType<RecentRequests['find']>) => requests.map(({ requestId }) => requestId);

describe('what is kept of a request', () => {
  test('comes back as it was, the newest first', () => {
    const { recent } = ringOf(8, [{}, { requestId: 'r-1', code: 'GW_NO_INSTANCE', instanceMs: undefined }]);
    const { requests, recorded } = recent.find({ limit: 10 });
    expect(recorded).toBe(2);
    expect(requests).toEqual([
      expect.objectContaining({ requestId: 'r-1', code: 'GW_NO_INSTANCE', instanceMs: null }),
      {
        at: expect.any(Number),
        requestId: 'r-0',
        client: '10.0.0.9',
        pool: 'ici',
        user: 'MILLER',
        session: `~${'d'.repeat(22)}`,
        identitySource: 'header',
        instance: 'a',
        decision: 'bound',
        operation: 'getParts',
        act: null,
        status: 200,
        code: null,
        attempts: 1,
        durationMs: 12.35,
        instanceMs: 2.5,
        waitedMs: 0,
      },
    ]);
  });

  test('is null where nothing is known', () => {
    const { recent } = ringOf(8, [
      { pool: '', user: undefined, session: undefined, source: undefined, instance: undefined },
      { client: undefined, operation: undefined, act: 'logon' },
      { act: 'logoff' },
    ]);
    expect(recent.find({ limit: 3 }).requests).toMatchObject([
      { act: 'logoff' },
      { client: null, operation: null, act: 'logon' },
      { pool: null, user: null, session: null, identitySource: null, instance: null },
    ]);
  });

  test('has names in any script, and at most 256 characters of each', () => {
    const { recent } = ringOf(8, [
      { user: 'MÜLLER 山田' },
      { user: 'X'.repeat(5_000), operation: 'ü'.repeat(5_000) },
    ]);
    const [long, readable] = recent.find({ limit: 2 }).requests;
    expect(readable?.user).toBe('MÜLLER 山田');
    expect(long).toMatchObject({ user: 'X'.repeat(256), operation: 'ü'.repeat(256) });
  });
});

describe('the ring', () => {
  test('keeps the newest requests', () => {
    const { recent, add } = ringOf(4, numbered(1, 3));
    expect(ids(recent.find({ limit: 10 }))).toEqual(['r-3', 'r-2', 'r-1']);
    add(...numbered(4, 11));
    expect(ids(recent.find({ limit: 10 }))).toEqual(['r-11', 'r-10', 'r-9', 'r-8']);
    expect(ids(recent.find({ limit: 2 }))).toEqual(['r-11', 'r-10']);
  });

  test('takes no more memory for long texts: fewer requests are kept then', () => {
    const { ring, recent, add } = ringOf(1_000, [], 16_384);
    for (let number = 1; number <= 500; number += 1) {
      add({ requestId: `r-${number}`, user: `${number % 2}${'Ü'.repeat(255)}`, operation: `o${number}` });
      const found = recent.find({ limit: 1_000 });
      expect(ids(found)).toEqual(found.requests.map((_, i) => `r-${number - i}`));
      expect(
        found.requests.every(({ requestId, operation }) => requestId.slice(1) === `-${operation?.slice(1)}`),
      ).toBe(true);
    }
    expect(ring.text.length).toBe(16_384);
    expect(recent.find({ limit: 1_000 }).requests.length).toBeGreaterThan(16);
    expect(recent.find({ limit: 1_000 }).requests.length).toBeLessThan(32);
  });

  test('is 3.3 MB in each worker, as the documentation says', () => {
    const ring = new RequestRing();
    const columns = Object.values(ring).map((one) =>
      ArrayBuffer.isView(one) ? one.byteLength : Array.isArray(one) ? one.length * 8 : 0,
    );
    expect(columns.reduce((sum, bytes) => sum + bytes, 0) / 1e6).toBeCloseTo(3.3, 1);
    expect(ring.size).toBe(16_384);
  });
});

describe('a filter', () => {
  const { recent } = ringOf(64, [
    { requestId: 'r-1', user: 'MILLER', instance: 'a' },
    { requestId: 'r-2', user: 'SMITH', instance: 'b', code: 'GW_OUTCOME_UNKNOWN' },
    { requestId: 'r-3', user: 'MILLERS', operation: 'MILLER', code: 'GW_NO_INSTANCE' },
    { requestId: 'r-4', user: undefined, session: `~${'e'.repeat(22)}`, pool: 'other' },
    { requestId: 'r-5', user: 'SMITH', operation: 'logon', code: 'GW_NO_INSTANCE' },
    { requestId: 'r-6', user: 'MILLER', code: 'GW_NO_INSTANCE', pool: '' },
  ]);
  test.each([
    [{ user: 'MILLER' }, ['r-6', 'r-1']],
    [{ user: 'MILL' }, []],
    [{ session: `~${'e'.repeat(22)}` }, ['r-4']],
    [{ instance: 'b' }, ['r-2']],
    [{ pool: 'other' }, ['r-4']],
    [{ code: 'GW_NO_INSTANCE' }, ['r-6', 'r-5', 'r-3']],
    [{ code: 'any' }, ['r-6', 'r-5', 'r-3', 'r-2']],
    [{ code: 'any', mostOfCode: 1 }, ['r-6', 'r-2']],
    [{ operation: 'logon' }, ['r-5']],
    [{ user: 'SMITH', code: 'GW_OUTCOME_UNKNOWN' }, ['r-2']],
  ] as const)('%o', (query, found) => {
    expect(ids(recent.find({ ...query, limit: 10 }))).toEqual(found);
  });

  test('finds what was written over the end of the bytes, and not what was overwritten', () => {
    const { recent: small, add } = ringOf(1_000, [], 12_288);
    for (let number = 1; number <= 300; number += 1) {
      const user = `AGENT${number % 7}`;
      add({ requestId: `r-${number}`, user });
      const kept = small.find({ limit: 1_000 });
      const of = kept.requests.filter((one) => one.user === user).map(({ requestId }) => requestId);
      expect(ids(small.find({ user, limit: 1_000 }))).toEqual(of);
    }
  });
});

describe('those who follow', () => {
  test('get each request once, and are told how many they missed', () => {
    const { recent, add } = ringOf(4, numbered(1, 2));
    const { ring, recorded } = recent.find({ limit: 10 });
    add(...numbered(3, 4));
    const next = recent.find({ limit: 10, after: { [ring]: recorded } });
    expect([ids(next), next.overwritten, next.leftOut]).toEqual([['r-4', 'r-3'], 0, 0]);
    add(...numbered(5, 10));
    const late = recent.find({ limit: 3, after: { [ring]: next.recorded } });
    expect([ids(late), late.overwritten, late.leftOut]).toEqual([['r-10', 'r-9', 'r-8'], 2, 1]);
    const again = recent.find({ limit: 3, after: { [ring]: late.recorded } });
    expect([ids(again), again.overwritten]).toEqual([[], 0]);
  });

  test('get all of a worker that they do not know', () => {
    const { recent } = ringOf(4, numbered(1, 2));
    const found = recent.find({ limit: 10, after: { '00000000': 7 } });
    expect([ids(found), found.overwritten]).toEqual([['r-2', 'r-1'], 0]);
  });
});

const ENDED = {
  request: { id: 'r-9' },
  raw: { method: 'POST', headers: { cookie: 'WS_SESSION_ID=bait-session', authorization: 'bait-password' } },
  response: { headersSent: true, statusCode: 200 },
  pool: { name: 'ici' },
  client: '10.0.0.9',
  path: '/ici?password=bait-password',
  decision: 'bound',
  instance: 'a',
  session: 'bait-session',
  body: { head: Buffer.from('<logon><password>bait-password</password></logon>') },
  attempts: 1,
  elapsedMs: 1,
  parkedMs: 0,
} as const;

/** A user name that is a part of a large body, as the search of a body finds it. */
function partOfLargeText(): string {
  return `${'x'.repeat(4e6)}<userId>MILLERSON-SMITH</userId>`.slice(4e6 + 8, 4e6 + 23);
}

test('the ring holds no body, no session value and no string of a request', () => {
  const ring = new RequestRing(64, 65_536);
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  const log = new AccessLog({
    metrics: new Metrics({ processMetrics: false }),
    logger: pino({}, sink),
    logRequests: false,
    showName: undefined,
    recent: ring,
  });
  log.ended({ ...ENDED, user: partOfLargeText() } as unknown as RequestContext);
  expect(ring.text.toString()).toContain('MILLERSON-SMITH');
  expect(`${ring.text} ${JSON.stringify(Object.values(ring))}`).not.toContain('bait');
  const words = [ring.pool, ring.instance, ring.decision, ring.source, ring.code].flat();
  expect(new Set(words)).toEqual(new Set(['', 'ici', 'a', undefined, 'bound', 'refused']));
});

test('hashed names stay hashed, and are found by the name itself', () => {
  const { ring } = ringOf(8, [{}]);
  const recent = new RecentRequests(ring, (name) => `hash-${name.length}`);
  expect(recent.find({ user: 'MILLER', limit: 1 }).requests[0]?.user).toBe('hash-6');
});
