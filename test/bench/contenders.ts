import { join } from 'node:path';
import { MAIN } from '../../src/package.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { findRedisProgram, startRedis } from '../support/redis-server.ts';
import type { Naming } from './load.ts';
import { findCaddy, findHaproxy, findNginx, startCaddy, startHaproxy, startNginx } from './other-proxies.ts';
import type { Workbench } from './processes.ts';
import type { Stage, Started } from './started.ts';
import { startBare, startGateway } from './started.ts';

export interface Contender {
  readonly title: string;
  readonly naming: Naming;
  /** A gateway, which another build can be compared with. */
  readonly isGateway?: true;
  start(stage: Stage): Promise<Started>;
  /** What has to be there for it, if it is missing. */
  missing?(): string | undefined;
}

const SILENT = { ICI_GATEWAY_LOGGING__REQUESTS: 'false' };

export const CONTENDERS = {
  haproxy: {
    title: 'haproxy, stick table keyed by the header soapuser',
    naming: 'header',
    missing: () => findHaproxy().missing,
    start: (stage) => startHaproxy(stage, 'header'),
  },
  'haproxy-body': {
    title: 'haproxy, stick table keyed by the user that Lua finds in the body',
    naming: 'body',
    missing: () => findHaproxy().missing ?? findHaproxy().missingLua,
    start: (stage) => startHaproxy(stage, 'body'),
  },
  nginx: {
    title: 'nginx, hash of the header soapuser',
    naming: 'header',
    missing: () => findNginx().missing,
    start: startNginx,
  },
  caddy: {
    title: 'caddy, hash of the header soapuser',
    naming: 'header',
    missing: () => findCaddy().missing,
    start: startCaddy,
  },
  net: bare('bare net: bytes passed on, a connection to the instance for each', 'net'),
  floor: bare('bare node:http and undici dispatch, answer in one piece: the floor', 'floor'),
  node: bare('bare node:http and undici request', 'node'),
  'http-proxy': bare('bare http-proxy', 'http-proxy'),
  'reply-from': bare('bare Fastify and @fastify/reply-from', 'reply-from'),
  'reply-from-log': bare('the same with its log (pino)', 'reply-from-log'),
  gateway: gateway('ici-gateway, known agent by header', 'header'),
  'gateway-no-log': gateway('the same without a log of requests', 'header', { env: SILENT }),
  'gateway-body': gateway('ici-gateway, known agent by body', 'body'),
  'gateway-body-no-log': gateway('the same without a log of requests', 'body', { env: SILENT }),
  'gateway-worker': gateway('ici-gateway with workers: 1, by header', 'header', {
    flags: ['--workers', '1'],
  }),
  'gateway-new-redis': {
    ...gateway('ici-gateway, a new agent each time, Redis', 'new', { redis: true }),
    missing: () => (findRedisProgram() === undefined ? 'no redis-server: npm run redis' : undefined),
  },
  'gateway-new-embedded': gateway('ici-gateway, a new agent each time, embedded store', 'new'),
} as const satisfies Readonly<Record<string, Contender>>;

export type ContenderName = keyof typeof CONTENDERS;
export const CONTENDER_NAMES = Object.keys(CONTENDERS) as ContenderName[];

export function contenderOf(name: ContenderName): Contender {
  return CONTENDERS[name];
}

function bare(title: string, kind: string): Contender {
  return { title, naming: 'header', start: ({ bench, upstream }) => startBare(bench, kind, upstream) };
}

interface GatewayOptions {
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly redis?: boolean;
}

function gateway(
  title: string,
  naming: Naming,
  { flags = [], env = {}, redis = false }: GatewayOptions = {},
): Contender {
  return {
    title,
    naming,
    isGateway: true,
    start: async ({ bench, upstream, turn, main = MAIN }) => {
      const store = redis ? await redisOf(bench) : undefined;
      const more = store === undefined ? flags : [...flags, '--redis', `${store.url}`];
      return startGateway(bench, upstream, join('state', String(turn)), more, env, main);
    },
  };
}

let redisServer: Promise<RedisServer> | undefined;

/** One for all turns: agents of another turn have other names. */
function redisOf(bench: Workbench): Promise<RedisServer> {
  redisServer ??= startRedis().then((server) => {
    bench.onClose(() => server.stop());
    return server;
  });
  return redisServer;
}
