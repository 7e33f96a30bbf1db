import { fileURLToPath } from 'node:url';
import { MAIN } from '../../src/package.ts';
import { eventually } from '../support/eventually.ts';
import { findRedisProgram, freePort, startRedis } from '../support/redis-server.ts';
import { findHaproxy, writeHaproxyConfig } from './haproxy.ts';
import type { Naming } from './load.ts';
import type { Program, Workbench } from './processes.ts';

export interface Contender {
  readonly name: string;
  readonly naming: Naming;
  readonly url: string;
  /** The process group whose processor time is counted. */
  readonly group: number;
}

export const CONTENDERS = {
  direct: 'the upstream alone, a node:http server',
  'haproxy-header': 'haproxy, stick table keyed by the header soapuser',
  'haproxy-body': 'haproxy, stick table keyed by the user that Lua finds in the body',
  node: 'bare node:http and undici',
  'reply-from': 'bare Fastify and @fastify/reply-from',
  'http-proxy': 'bare http-proxy',
  'gateway-header': 'ici-gateway, known agents, by header',
  'gateway-body': 'ici-gateway, known agents, by body',
  'gateway-new-redis': 'ici-gateway, a new agent each request, Redis',
  'gateway-new-embedded': 'ici-gateway, a new agent each request, embedded store',
} as const;

export type ContenderName = keyof typeof CONTENDERS;

const UPSTREAM = fileURLToPath(new URL('./upstream.js', import.meta.url));
const BARE = fileURLToPath(new URL('./bare-proxies.js', import.meta.url));
const READY_MS = 15_000;

export interface Lineup {
  readonly contenders: readonly Contender[];
  /** The contenders that were left out, with the reasons. */
  readonly missing: readonly string[];
}

/** Starts the upstream and the wanted contenders, and waits until each of them answers. */
export async function startContenders(bench: Workbench, wanted: readonly ContenderName[]): Promise<Lineup> {
  const upstream = await startUpstream(bench);
  const contenders: Contender[] = [];
  const missing: string[] = [];
  const gateways = new Map<string, Promise<Started>>();
  // The gateway for known agents is one process, whatever names the requests have.
  const gateway = (store: string, flags: () => Promise<string[]>): Promise<Started> => {
    const started =
      gateways.get(store) ?? flags().then((more) => startGateway(bench, upstream.url, store, more));
    gateways.set(store, started);
    return started;
  };
  const add = async (name: ContenderName, naming: Naming, started: Promise<Started>): Promise<void> => {
    const { url, program } = await started;
    contenders.push({ name, naming, url, group: program.pid });
  };
  const none = async (): Promise<string[]> => [];

  for (const name of wanted) {
    switch (name) {
      case 'direct':
        contenders.push({ name, naming: 'header', url: upstream.url, group: upstream.program.pid });
        break;
      case 'haproxy-header':
      case 'haproxy-body': {
        const key = name === 'haproxy-header' ? 'header' : 'body';
        const { installed, lua } = findHaproxy();
        if (!installed) missing.push(`${name}: haproxy is not installed`);
        else if (key === 'body' && !lua) missing.push(`${name}: this haproxy was built without Lua`);
        else await add(name, key, startHaproxy(bench, upstream.url, key));
        break;
      }
      case 'node':
      case 'reply-from':
      case 'http-proxy':
        await add(name, 'header', startBare(bench, name, upstream.url));
        break;
      case 'gateway-header':
        await add(name, 'header', gateway('known', none));
        break;
      case 'gateway-body':
        await add(name, 'body', gateway('known', none));
        break;
      case 'gateway-new-embedded':
        await add(name, 'new', gateway('embedded', none));
        break;
      case 'gateway-new-redis':
        if (findRedisProgram() === undefined) missing.push(`${name}: redis-server is not installed`);
        else {
          const withRedis = async (): Promise<string[]> => {
            const redis = await startRedis();
            bench.onClose(() => redis.stop());
            return ['--redis', redis.url];
          };
          await add(name, 'new', gateway('redis', withRedis));
        }
        break;
    }
  }
  return { contenders, missing };
}

export interface Started {
  readonly url: string;
  readonly program: Program;
}

export async function startUpstream(bench: Workbench): Promise<Started> {
  const program = bench.start([process.execPath, UPSTREAM]);
  return { url: await printedUrl(program, /^(http:\S+)$/m), program };
}

/**
 * The built gateway as operators start it: all defaults, one instance in a sticky
 * pool, each request logged, to a file.
 *
 * @param name of its state directory
 * @param main its main file, by default that of this build
 */
export async function startGateway(
  bench: Workbench,
  upstream: string,
  name: string,
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  main = MAIN,
): Promise<Started & { readonly adminUrl: string }> {
  const addresses = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const pool = ['--mode', 'sticky', '--instance', `a=${upstream}`];
  const program = bench.start(
    [process.execPath, main, 'start', '--workers', '0', ...addresses, ...pool, ...flags],
    {
      ...env,
      XDG_STATE_HOME: `${bench.directory}/${name}`,
    },
  );
  const url = await printedUrl(program, /"address":"([^"]+)","msg":"listening"/);
  const adminUrl = await printedUrl(program, /"address":"([^"]+)","msg":"admin listening"/);
  await eventually(() => answers(url), { within: READY_MS });
  return { url, adminUrl, program };
}

async function startBare(bench: Workbench, kind: string, upstream: string): Promise<Started> {
  const program = bench.start([process.execPath, BARE, kind, upstream]);
  return { url: await printedUrl(program, /^(http:\S+)$/m), program };
}

async function startHaproxy(bench: Workbench, upstream: string, key: 'header' | 'body'): Promise<Started> {
  const port = await freePort();
  const config = writeHaproxyConfig(bench.directory, port, upstream, key);
  const program = bench.start(['haproxy', '-db', '-f', config]);
  const url = `http://127.0.0.1:${port}`;
  await eventually(() => answers(url), { within: READY_MS });
  return { url, program };
}

function printedUrl(program: Program, pattern: RegExp): Promise<string> {
  return eventually(
    () => {
      const output = program.output();
      const url = pattern.exec(output)?.[1];
      if (url === undefined) throw new Error(`it did not start: ${output.slice(-2_000)}`);
      return url;
    },
    { within: READY_MS, every: 50 },
  );
}

async function answers(url: string): Promise<void> {
  const { status } = await fetch(url, { signal: AbortSignal.timeout(1_000) });
  if (status !== 200) throw new Error(`${url} answered ${status}`);
}
