import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import type { Outcome } from '../support/load.ts';
import { post } from '../support/load.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { childrenOf } from '../support/processes.ts';
import type { SmallDisk } from '../support/small-disk.ts';
import { makeSmallDisk } from '../support/small-disk.ts';

/** The embedded store under load on a real, full file system; `integration/full-disk.test.ts` uses one process. */

const PATIENT = { within: 45_000 };
const KNOWN = Array.from({ length: 10 }, (_, i) => `KNOWN${i}`);
/** Messages on stderr from LMDB itself, or from a damaged heap. */
const NATIVE = /Write error|malloc|free\(\)|corrupt/i;

let disk: SmallDisk;
let connectors: SimulatedConnector[];
let scratch: string;
const token = writeTokenFile();

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'ici-gateway-full-disk-'));
  connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
});

afterAll(async () => {
  await Promise.all(connectors.map((connector) => connector.close()));
  token.remove();
  rmSync(scratch, { recursive: true });
});

async function smallDisk(bytes: number): Promise<SmallDisk> {
  const made = await makeSmallDisk(bytes);
  if (typeof made === 'string') throw new Error(`a file system of its own for the test: ${made}`);
  return made;
}

const config = (): Record<string, unknown> => ({
  workers: 2,
  admin: { address: '127.0.0.1:0', tokenFile: token.path },
  affinity: { store: 'embedded', stateDir: join(disk.path, 'state') },
  coordination: { lease: '1s' },
  lifecycle: { statusPollInterval: '0s' },
  pools: [
    {
      name: 'ici',
      mode: 'sticky',
      health: { path: '/health', interval: '300ms', fastInterval: '100ms' },
      instances: connectors.map(({ name, url }) => ({ id: name, url })),
    },
  ],
});

describe('a disk that is full', () => {
  let gateway: GatewayProcess;
  let placed: Map<string, string | undefined>;
  const errors = (): string => readFileSync(join(scratch, 'stderr'), 'utf8');

  beforeAll(async () => {
    disk = await smallDisk(1_024 * 1_024);
    // So little space that it is used up soon.
    disk.fill(412 * 1_024);
    gateway = await startGatewayProcess(config(), {
      prefix: ['/bin/sh', '-c', `exec "$@" 2>>${join(scratch, 'stderr')}`, 'sh'],
    });
    const outcomes = await Promise.all(KNOWN.map((user) => post(gateway.url, user)));
    placed = new Map(outcomes.map(({ user, connector }) => [user, connector]));
  });

  afterAll(async () => {
    await gateway?.close();
    await disk?.close();
  });

  const told = (msg: string): number => gateway.log.filter((line) => line.msg === msg).length;
  const isAvailable = async (): Promise<string | undefined> =>
    /^gateway_affinity_available\{pool="ici"\} (\d)$/m.exec(await gateway.metrics())?.[1];
  /** One request of each agent, a few at a time. */
  const postAll = async (users: readonly string[]): Promise<Outcome[]> => {
    const outcomes: Outcome[] = [];
    for (let at = 0; at < users.length; at += 30) {
      outcomes.push(...(await Promise.all(users.slice(at, at + 30).map((user) => post(gateway.url, user)))));
    }
    return outcomes;
  };
  const expectPlaced = (outcomes: readonly Outcome[]): void => {
    for (const { user, connector, status, code } of outcomes) {
      const known = placed.get(user) ?? connector;
      expect({ user, status, code, connector }).toEqual({
        user,
        status: 200,
        code: undefined,
        connector: known,
      });
      placed.set(user, known);
    }
  };

  test('counts as a store that is away: every agent is served, and the log says it once', async () => {
    disk.fill();
    // New agents one after the other, until the disk is full and for some time after that.
    let sent = 0;
    const until = async (): Promise<boolean> => (await isAvailable()) === '0' && sent > 60;
    while (!(await until())) {
      const some = Array.from({ length: 20 }, (_, i) => `NEW${sent + i}`);
      sent += some.length;
      expectPlaced(await postAll([...some, ...KNOWN.slice(0, 4)]));
    }
    await eventually(() => expect(told('affinity store away')).toBe(1));
    const { detail } = gateway.log.find(({ msg }) => msg === 'affinity store away') as unknown as {
      detail: string;
    };
    expect(detail).toMatch(/state cannot be written \(ENOSPC.*make room/);
    expect((await gateway.status()).pools[0]?.affinity.available).toBe(false);
    expect(errors()).not.toMatch(NATIVE);
  });

  test('refuses changes of operators with the reason', async () => {
    const { status, body } = await ask(gateway.adminUrl, 'POST', '/pools/ici/instances/a/disable', {
      by: 'a test',
      why: 'the disk is full',
    });
    expect({ status, body }).toEqual({
      status: 503,
      body: { error: expect.stringMatching(/ENOSPC.*make room/) },
    });
  });

  test('serves all agents even if the process that holds the store is killed', async () => {
    const controller = childrenOf(gateway.pid).find(({ title }) => title.includes('controller'));
    process.kill(controller?.pid ?? 0, 'SIGKILL');
    const spread = [...placed.keys()].slice(0, 60);
    await eventually(async () => {
      expectPlaced(await postAll(spread));
      expect((await gateway.status()).pools[0]?.affinity.available).toBe(false);
    }, PATIENT);
    expectPlaced(await postAll(spread));
    expectPlaced([await post(gateway.url, 'AFTER-THE-KILL')]);
    expect(readdirSync(join(disk.path, 'state')).filter((name) => /^owner\.\d/.test(name))).toEqual([]);
    expect(errors()).not.toMatch(NATIVE);
  });

  test('has free space again: placements made meanwhile are written back and stay', async () => {
    disk.makeRoom();
    await eventually(async () => expect(await isAvailable()).toBe('1'), PATIENT);
    expect((await gateway.status()).pools[0]?.affinity.available).toBe(true);
    expectPlaced(await postAll([...placed.keys()]));
    await gateway.stop();
    await gateway.close();
    gateway = await startGatewayProcess(config());
    expectPlaced(await postAll([...placed.keys()]));
  });
});

test('a gateway does not start on a full disk, and names the directory and the remedy', async () => {
  disk = await smallDisk(256 * 1_024);
  disk.fill();
  const file = join(scratch, 'stderr-start');
  writeFileSync(file, '');
  try {
    const started = startGatewayProcess(config(), {
      prefix: ['/bin/sh', '-c', `exec "$@" 2>>${file}`, 'sh'],
    });
    await expect(started).rejects.toThrow();
    expect(readFileSync(file, 'utf8')).toMatch(
      /state cannot be written \(ENOSPC.*make room on its file system, or/,
    );
    expect(readFileSync(file, 'utf8')).not.toMatch(NATIVE);
  } finally {
    await disk.close();
  }
});
