/**
 * Do the alerts fire at the first event of their kind? A real Prometheus scrapes two gateways with a common Redis and
 * evaluates `deploy/prometheus/alerts.yaml` as it is; only the interval of its scrapes can be chosen.
 *
 *   npm run trial alerts -- [--interval SECONDS]
 */
import { parseArgs } from 'node:util';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { table } from '../bench/figures.ts';
import type { FaultProxy } from '../chaos/fault-proxy.ts';
import { startFaultProxy } from '../chaos/fault-proxy.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import type { Outcome, RunningLoad } from '../support/load.ts';
import { post, startLoad, users } from '../support/load.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import type { Alert, Prometheus } from './prometheus.ts';
import { startPrometheus } from './prometheus.ts';

const INTERVAL_SECONDS = 5;

const USAGE = `Usage: npm run trial alerts -- [options]

Scrapes two gateways with a real Prometheus and the rules of deploy/prometheus. First nothing happens, and no alert may
fire; then come the first ten answers with an unknown outcome, the first agents that are split, and the first loss of
the store, and their alerts have to fire. Takes about three minutes. Ends with 1 if an alert did not fire, or another
one did.

  --interval <s>  between two scrapes, and between two evaluations (${INTERVAL_SECONDS}, as in deploy/prometheus/alerts.yaml)
  --help
`;

const RULES = new URL('../../../deploy/prometheus/alerts.yaml', import.meta.url).pathname;
// Longer than `for` of every rule but those that take five minutes or more, at the default interval.
const IDLE_INTERVALS = 15;
const UNKNOWN = 10;
const AGENTS = 20;
const NEWCOMERS = 20;
const PAUSE_MS = 500;
// The longest `for` of the expected alerts is 15 s.
const FIRE_MS = 60_000;
const LOOK_MS = 250;

interface Line {
  readonly event: string;
  readonly expected: readonly string[];
  /** Seconds until each fired. */
  readonly after: ReadonlyMap<string, number>;
  /** What the expected alerts say. */
  readonly texts: readonly string[];
  /** Alerts that fired too. */
  readonly others: readonly string[];
  readonly wrong: string;
}

class Site {
  readonly connectors: readonly SimulatedConnector[];
  readonly gateways: readonly GatewayProcess[];
  readonly redis: RedisServer;
  /** Between the first gateway and Redis. */
  readonly link: FaultProxy;
  #load: RunningLoad | undefined;
  readonly #outcomes: Outcome[] = [];

  private constructor(
    redis: RedisServer,
    link: FaultProxy,
    connectors: readonly SimulatedConnector[],
    gateways: readonly GatewayProcess[],
  ) {
    this.redis = redis;
    this.link = link;
    this.connectors = connectors;
    this.gateways = gateways;
  }

  static async start(): Promise<Site> {
    const redis = await startRedis();
    const link = await startFaultProxy(() => ({ host: '127.0.0.1', port: redis.port }));
    const connectors = await Promise.all(['a', 'b', 'c'].map((name) => startConnector({ name })));
    const gateways = await Promise.all(
      [`redis://${link.host}:${link.port}/0`, redis.url].map((url) =>
        startGatewayProcess({
          workers: 1,
          pools: [
            {
              name: 'ici',
              mode: 'sticky',
              // Not a hash, so that a gateway alone places agents elsewhere than one that asks the store.
              balancer: 'random',
              health: { path: '/health', timeout: '5s', fall: 5 },
              instances: connectors.map(({ name, url: instance }) => ({ id: name, url: instance })),
            },
          ],
          affinity: { redis: { url } },
        }),
      ),
    );
    return new Site(redis, link, connectors, gateways);
  }

  get urls(): string[] {
    return this.gateways.map(({ url }) => url);
  }

  startLoad(): void {
    this.#load = startLoad(this.urls, users(AGENTS, 'KNOWN'), PAUSE_MS);
  }

  async stopLoad(): Promise<void> {
    this.#outcomes.push(...((await this.#load?.stop()) ?? []));
    this.#load = undefined;
  }

  /** Requests of the agents who work all the time, and how many of them failed. */
  get served(): { readonly requests: number; readonly failed: number } {
    const failed = this.#outcomes.filter(({ status }) => status !== 200);
    return { requests: this.#outcomes.length, failed: failed.length };
  }

  /** @throws unless the gateway says that its store is there, or away */
  async storeIs(index: number, available: boolean): Promise<void> {
    await eventually(
      async () => {
        const [pool] = (await (this.gateways[index] as GatewayProcess).status()).pools;
        if (pool?.affinity.available !== available)
          throw new Error(`the store is not ${available ? 'back' : 'away'}`);
      },
      { within: 30_000 },
    );
  }

  async close(): Promise<void> {
    await this.stopLoad();
    for (const gateway of this.gateways) await gateway.close();
    for (const connector of this.connectors) await connector.close();
    await this.link.close();
    await this.redis.stop();
  }
}

/** The first requests that reach a connector and get no answer. Resolves with how many are unknown. */
async function losesAnswers(site: Site): Promise<string> {
  await site.stopLoad();
  for (const connector of site.connectors) await connector.behave({ mode: 'reset', appliesTo: 'soap' });
  const agents = users(UNKNOWN, 'KNOWN');
  const answers = await Promise.all(agents.map((user, i) => post(site.urls[i % 2] as string, user)));
  for (const connector of site.connectors) await connector.behave({ mode: 'normal' });
  site.startLoad();
  const unknown = answers.filter(({ code }) => code === 'GW_OUTCOME_UNKNOWN').length;
  return unknown === UNKNOWN ? '' : `only ${unknown} of ${UNKNOWN} answers said GW_OUTCOME_UNKNOWN`;
}

/** One gateway is cut off from the store for a moment, and new agents come to both. */
async function splitsAgents(site: Site): Promise<string> {
  site.link.cut();
  await site.storeIs(0, false);
  const agents = users(NEWCOMERS, 'NEW');
  const answers = await Promise.all(
    agents.map((user) => Promise.all(site.urls.map((url) => post(url, user)))),
  );
  site.link.heal();
  await site.storeIs(0, true);
  const split = answers.filter(([one, two]) => one?.connector !== two?.connector).length;
  return split > 0 ? '' : 'no agent was split';
}

async function losesStore(site: Site): Promise<string> {
  await site.redis.kill();
  return '';
}

/** Looks at the alerts until all expected ones fire. */
async function watch(
  prometheus: Prometheus,
  event: string,
  expected: readonly string[],
  known: ReadonlySet<string>,
  cause: () => Promise<string>,
): Promise<Line> {
  const began = performance.now();
  const wrong = [await cause()];
  const after = new Map<string, number>();
  const texts: string[] = [];
  const others = new Set<string>();
  while (after.size < expected.length && performance.now() - began < FIRE_MS) {
    const firing = (await prometheus.alerts()).filter(({ state }) => state === 'firing');
    for (const alert of firing) {
      const name = alert.labels.alertname;
      if (!expected.includes(name)) others.add(name);
      else if (!after.has(name)) {
        after.set(name, (performance.now() - began) / 1_000);
        texts.push(`${name}: ${alert.annotations['summary'] ?? 'without a summary'}`);
        wrong.push(await unusable(alert));
      }
    }
    await pause(LOOK_MS);
  }
  const missing = expected.filter((name) => !after.has(name));
  const surprising = [...others].filter((name) => !known.has(name));
  if (missing.length > 0) wrong.push(`did not fire: ${missing.join(', ')}`);
  if (surprising.length > 0) wrong.push(`fired too: ${surprising.join(', ')}`);
  return {
    event,
    expected,
    after,
    texts,
    others: surprising,
    wrong: wrong.filter((text) => text !== '').join('; '),
  };
}

/** What is wrong with the link to the runbook. */
async function unusable({ labels, annotations }: Alert): Promise<string> {
  const link = annotations['runbook_url'] ?? '';
  const name = labels.alertname;
  const { status } = await fetch(link).catch(() => ({ status: 0 }));
  return status === 200 || status === 401 ? '' : `${name} links to ${link}, which answered ${status}`;
}

async function staysQuiet(prometheus: Prometheus, seconds: number): Promise<Line> {
  const seen = new Set<string>();
  const until = performance.now() + seconds * 1_000;
  while (performance.now() < until) {
    for (const { labels, state } of await prometheus.alerts()) seen.add(`${labels.alertname} (${state})`);
    await pause(LOOK_MS);
  }
  const others = [...seen];
  const firing = others.filter((alert) => alert.endsWith('(firing)'));
  return {
    event: `nothing happens for ${seconds} s`,
    expected: [],
    after: new Map(),
    texts: [],
    others,
    // On a busy machine one scrape may meet a late lease; `for` is there for that.
    wrong: firing.length === 0 ? '' : `not quiet: ${firing.join(', ')}`,
  };
}

/** The alerts of the store end when it is back. */
async function ends(prometheus: Prometheus, names: readonly string[], site: Site): Promise<Line> {
  const began = performance.now();
  await site.redis.start();
  const after = new Map<string, number>();
  while (after.size < names.length && performance.now() - began < FIRE_MS) {
    const left = new Set((await prometheus.alerts()).map(({ labels }) => labels.alertname));
    for (const name of names)
      if (!left.has(name) && !after.has(name)) after.set(name, (performance.now() - began) / 1_000);
    await pause(LOOK_MS);
  }
  const stuck = names.filter((name) => !after.has(name));
  const wrong = stuck.length === 0 ? '' : `still there: ${stuck.join(', ')}`;
  return { event: 'the store is back: these end', expected: names, after, texts: [], others: [], wrong };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      interval: { type: 'string', default: String(INTERVAL_SECONDS) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return print(USAGE);
  const intervalSeconds = Number(values.interval);
  const site = await Site.start();
  let prometheus: Prometheus | undefined;
  const lines: Line[] = [];
  try {
    site.startLoad();
    prometheus = await startPrometheus({
      gateways: site.gateways.map(({ adminUrl }) => adminUrl),
      rules: RULES,
      intervalSeconds,
    });
    print(
      `Prometheus ${prometheus.version}, two gateways, a scrape every ${intervalSeconds} s, the rules unchanged\n`,
    );
    const { query } = prometheus;
    await eventually(
      async () => {
        const up = await query('up{job="ici-gateway"}');
        if (up.join() !== '1,1')
          throw new Error(`Prometheus does not see both gateways: up is ${up.join() || 'absent'}`);
      },
      { within: 10_000 + 2_000 * intervalSeconds },
    );
    const known = new Set<string>();
    const add = (line: Line): void => {
      lines.push(line);
      for (const name of line.after.keys()) known.add(name);
    };
    add(await staysQuiet(prometheus, IDLE_INTERVALS * intervalSeconds));
    const see = async (
      event: string,
      expected: string[],
      cause: (at: Site) => Promise<string>,
    ): Promise<void> => add(await watch(prometheus as Prometheus, event, expected, known, () => cause(site)));
    await see(`the first ${UNKNOWN} unknown outcomes`, ['IciOutcomeUnknown'], losesAnswers);
    await see('the first split agents', ['IciAgentsSplit'], splitsAgents);
    await see('the first loss of the store', ['IciStoreAway', 'IciLeaseLost'], losesStore);
    add(await ends(prometheus, ['IciStoreAway', 'IciLeaseLost'], site));
  } finally {
    await site.stopLoad();
    await prometheus?.close();
    await site.close();
  }
  report(lines, site);
}

function report(lines: readonly Line[], { served }: Site): void {
  const rows = lines.map(({ event, expected, after, others, wrong }) => [
    event,
    expected.map((name) => `${name} ${after.get(name)?.toFixed(1) ?? '-'}`).join(', ') || '-',
    others.join(', ') || '-',
    wrong === '' ? 'yes' : 'NO',
  ]);
  print(
    `${table([['event', 'expected alerts, and after how many seconds', 'other alerts', 'as it should be'], ...rows])}\n`,
  );
  for (const { texts } of lines) for (const text of texts) print(`${text}\n`);
  print(`${served.requests} requests of known agents meanwhile, ${served.failed} failed\n`);
  for (const { event, wrong } of lines) if (wrong !== '') print(`${event}: ${wrong}\n`);
  if (lines.some(({ wrong }) => wrong !== '')) process.exitCode = 1;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function print(text: string): void {
  process.stdout.write(text);
}

await main();
