import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { Executed } from '../support/executed-files.ts';
import { executedBy } from '../support/executed-files.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { ENVELOPE, poolOf, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

// The last five only count: how the agent was named, in total and over the last hour, the duration, and the second.
const MOST_FILES = 24;

/** With them the gateway learns whose session it is. */
const BOTH = ['soapuser: AGENT1', 'Cookie: WS_SESSION_ID=abc'];

/** The files that the map of `src` lists under "Files of one request". */
function listedFiles(): string[] {
  const map = readFileSync(new URL('../../src/README.md', import.meta.url), 'utf8');
  const [, section = ''] = /### Files of one request\n([\s\S]*?)\n##/.exec(map) ?? [];
  return [...section.matchAll(/`([^`]+\.ts)`/g)]
    .map(([, file]) => `src/${file}`)
    .filter((file) => !file.includes('test/'));
}

let upstream: WireUpstream;
let gateway: TestGateway;
let client: WireClient;
let sent = 0;

beforeAll(async () => {
  // What runs at intervals is no part of a request. To read the coverage takes longer than the shortest interval, so
  // that on a busy machine it would run in every request.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  upstream = await WireUpstream.start();
  const seldom = poolOf([upstream.url]).replace('interval: 200ms', 'interval: 5m');
  gateway = await startTestGateway(`${seldom}coordination: { lease: 1m }\n`);
  client = await WireClient.open(gateway.port);
  await request(BOTH);
});
afterAll(async () => {
  client.leave();
  await gateway.close();
  await upstream.close();
  vi.useRealTimers();
});

async function request(fields: readonly string[]): Promise<void> {
  client.send(soapPost('/ici', ENVELOPE, fields));
  sent += 1;
  await client.responses(sent);
  await eventually(() => expect(gateway.requests()).toHaveLength(sent));
}

/** The request of an agent whose binding is cached, over a connection that is kept alive. */
describe.each([
  ['the user header and a session cookie', BOTH, {}],
  ['the user header', ['soapuser: AGENT1'], { tags: 'long' }],
  ['the session cookie of a known user', ['Cookie: WS_SESSION_ID=abc'], { tags: 'long' }],
])('a request of a known agent, named by %s,', (_by, fields, options) => {
  test('runs code of few files', options, async () => {
    for (let warm = 0; warm < 20; warm += 1) await request(fields);
    const executed = await executedBy(() => request(fields));
    expect(listedFiles().length).toBeLessThanOrEqual(MOST_FILES);
    expect(listedFiles(), report(executed)).toEqual(expect.arrayContaining([...executed.keys()]));
  });
});

function report(executed: Executed): string {
  return [...executed].map(([file, functions]) => `${file}: ${functions.join(', ')}`).join('\n');
}
