import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { ENVELOPE, OK, soapPost, WireClient, WireUpstream } from '../support/wire.ts';

/** The kernel closes connections of a process that may open no more files, and tells neither the process nor the client. */

const FILES = 256;
const PATIENT = { within: 90_000 };
const MESSAGE = 'no file is left for a connection to an instance';

let instance: WireUpstream;
let gateway: GatewayProcess;
let clients: WireClient[] = [];

beforeAll(async () => {
  instance = await WireUpstream.start({ answer: OK });
  gateway = await startGatewayProcess(
    {
      pools: [
        {
          name: 'ici',
          mode: 'sticky',
          connections: 'per-request',
          health: { path: '/health', interval: '200ms', fastInterval: '50ms', fall: 2 },
          instances: [{ id: 'a', url: instance.url }],
        },
      ],
    },
    { prefix: ['prlimit', `--nofile=${FILES}`] },
  );
});

afterAll(async () => {
  for (const client of clients) client.leave();
  await gateway.close();
  await instance.close();
});

function open(count: number): Promise<WireClient[]> {
  const port = Number(new URL(gateway.url).port);
  return Promise.all(Array.from({ length: count }, () => WireClient.open(port)));
}

/** The value of a counter without labels, or with these. */
async function counted(series: string): Promise<number> {
  const line = (await gateway.metrics()).split('\n').find((text) => text.startsWith(`${series} `));
  return Number(line?.split(' ')[1]);
}

/** Lets the running gateway open only so many files. */
function limitFiles(files: number): void {
  execFileSync('prlimit', ['--pid', String(gateway.pid), `--nofile=${files}:`]);
}

function linesWith(message: string): typeof gateway.log {
  return gateway.log.filter(({ msg }) => msg?.startsWith(message));
}

test('a gateway says at its start that it may open too few files', () => {
  expect(linesWith('the limit of open files is lower')).toEqual([
    expect.objectContaining({ files: FILES, hardLimit: FILES, needed: 13_100, connections: 62 }),
  ]);
});

test('idle connections beyond the limit give way, are counted and logged, and the others, operators and probes are served', async () => {
  clients = await open(300);
  await eventually(() => {
    if (clients.filter(({ isOver }) => isOver).length !== 300 - 62) throw new Error('not closed');
  }, PATIENT);
  expect(await counted('gateway_connections_given_up_total')).toBe(300 - 62);
  expect(await counted('gateway_files_exhausted_total{at="accept"}')).toBe(300 - 62);
  const lines = linesWith('closed idle or slow connections of a client');
  expect(lines.length).toBeLessThan(30);
  expect(lines[0]).toMatchObject({ level: 40, files: FILES, connections: 62 });

  // Each of those that are left needs a connection to the instance at the same time.
  const held = clients.filter(({ isOver }) => !isOver);
  for (const [i, client] of held.entries()) client.send(soapPost('/ici', ENVELOPE, [`soapuser: HELD${i}`]));
  const answers = await Promise.all(held.map((client) => client.response()));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(await counted('gateway_files_exhausted_total{at="connect"}')).toBe(0);
  expect(linesWith('probe')).toEqual([]);
  for (const client of clients) client.leave();
});

test('without a file for a connection to it, an instance stays up, and requests wait', async () => {
  clients = await open(1);
  const [client] = clients;
  client?.send(soapPost('/ici', ENVELOPE, ['soapuser: FIRST']));
  expect((await client?.response())?.status).toBe(200);
  limitFiles(10);
  client?.send(soapPost('/ici', ENVELOPE, ['soapuser: SECOND']));
  await eventually(() => {
    for (const at of ['connect', 'probe'])
      if (!linesWith(MESSAGE).some((line) => line['at'] === at)) throw new Error(`nothing of ${at}`);
  }, PATIENT);
  limitFiles(FILES);
  const answers = await client?.responses(2);
  expect(answers?.map(({ status }) => status)).toEqual([200, 200]);
  for (const at of ['connect', 'probe'])
    expect(await counted(`gateway_files_exhausted_total{at="${at}"}`)).toBeGreaterThan(0);
  expect(linesWith('probe')).toEqual([]);
  expect(linesWith('instance down')).toEqual([]);
});
