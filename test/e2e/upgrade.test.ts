import { randomBytes } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { startSteadyLoad } from '../drills/load.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { PROGRAM, startGatewayProcess } from '../support/gateway-process.ts';
import { childrenOf } from '../support/processes.ts';
import type { ToolEnd } from '../support/system-tools.ts';
import { runProgramFile } from '../support/system-tools.ts';

/** Versions of the program that are installed beside each other, and the link to the current one. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PATIENT = { within: 90_000 };
const WORKERS = 2;

let directory: string;
let connector: SimulatedConnector;
let gateway: GatewayProcess;
let tokenFile: string;

/** One gateway for all tests: each test leaves it at the version that it found. */
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-upgrade-'));
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  connector = await startConnector({ name: 'a' });
  install('1.0.0');
  turnLink('1.0.0');
  await start();
});

afterAll(async () => {
  await gateway.close();
  await connector.close();
  rmSync(directory, { recursive: true });
});

/** A copy of the build whose processes show its version in their titles. */
function install(version: string, change: readonly [from: string, to: string][] = []): void {
  const folder = join(directory, version);
  mkdirSync(folder);
  cpSync(join(ROOT, 'dist'), join(folder, 'dist'), { recursive: true });
  const description = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as object;
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...description, version }));
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the text of the program.
  const title = '`ici-gateway: ${init.id}`';
  const scripts = readdirSync(join(folder, 'dist')).filter((name) => name.endsWith('.js'));
  for (const [from, to] of [[title, `${title} + ' of ${version}'`] as const, ...change]) {
    const changed = scripts.filter((name) => {
      const path = join(folder, 'dist', name);
      const text = readFileSync(path, 'utf8');
      writeFileSync(
        path,
        text.replace(from, () => to),
      );
      return text.includes(from);
    });
    expect(changed, from).toHaveLength(1);
  }
}

/** Switches the link atomically, as a careful installation does (and `ln -sfn` does not). */
function turnLink(version: string): void {
  symlinkSync(join(directory, version), join(directory, 'next'));
  renameSync(join(directory, 'next'), join(directory, 'current'));
}

async function start(): Promise<void> {
  tokenFile = join(directory, 'token');
  writeFileSync(tokenFile, 'a-token-of-this-test', { mode: 0o600 });
  gateway = await startGatewayProcess(
    {
      workers: WORKERS,
      admin: { address: '127.0.0.1:0', tokenFile },
      affinity: {
        keyPrefix: `upgrade-${randomBytes(4).toString('hex')}`,
        redis: { url: inject('redisUrl') },
      },
      pools: [
        {
          name: 'ici',
          mode: 'sticky',
          health: { path: '/health' },
          instances: [{ id: 'a', url: connector.url }],
        },
      ],
    },
    { main: join(directory, 'current/dist/main.js') },
  );
}

const restart = (): Promise<ToolEnd> => {
  const [node = '', ...program] = PROGRAM;
  const where = ['--admin', gateway.adminUrl, '--token-file', tokenFile];
  return runProgramFile(node, [...program, 'restart', '--rolling', ...where]);
};

/** The versions of controller and workers, once all of them are running. */
const versions = (): Promise<string[]> =>
  eventually(() => {
    const titles = childrenOf(gateway.pid).map(({ title }) => title);
    const found = titles.flatMap((title) => / of (\S+)/.exec(title)?.[1] ?? []);
    expect(found, titles.join()).toHaveLength(WORKERS + 1);
    return found;
  }, PATIENT);

const untilReplaced = (): Promise<void> =>
  eventually(
    () => expect(gateway.log.map(({ msg }) => msg)).toContain('the processes are replaced'),
    PATIENT,
  );

test('an upgrade and a downgrade under traffic fail no request', { tags: 'long' }, async () => {
  install('2.0.0');
  expect(await versions()).toEqual(['1.0.0', '1.0.0', '1.0.0']);
  const load = startSteadyLoad({
    url: gateway.url,
    perSecond: 50,
    agents: 10,
    staying: new Set([connector.name]),
  });
  for (const version of ['2.0.0', '1.0.0']) {
    gateway.log.length = 0;
    turnLink(version);
    expect(await restart()).toMatchObject({ code: 0 });
    await untilReplaced();
    expect(await versions()).toEqual([version, version, version]);
    await eventually(async () => expect(await gateway.status()).toMatchObject({ version, state: 'Running' }));
  }
  const { requests, ...misses } = await load.stop();
  expect(misses).toMatchObject({ refused: 0, failed: 0, cut: 0, moved: 0, examples: [] });
  expect(requests).toBeGreaterThan(50);
});

test('a version that cannot start is rolled back, and the previous one keeps running', {
  tags: 'long',
}, async () => {
  install('3.0.0', [['async function startWorker', 'nonsense']]);
  install('4.0.0', [['PROTOCOL = 1;', 'PROTOCOL = 2;']]);
  const load = startSteadyLoad({
    url: gateway.url,
    perSecond: 50,
    agents: 10,
    staying: new Set([connector.name]),
  });
  for (const [version, why] of [
    ['3.0.0', /a new worker does not start: Unexpected token/],
    ['4.0.0', /protocol 2 and 1\): stop the gateway and start it again/],
  ] as const) {
    turnLink(version);
    const { code, text } = await restart();
    expect(code).toBe(1);
    expect(text).toMatch(why);
    expect(await versions()).toEqual(['1.0.0', '1.0.0', '1.0.0']);
  }
  const misses = await load.stop();
  expect(misses).toMatchObject({ refused: 0, failed: 0, cut: 0, moved: 0, examples: [] });
});
