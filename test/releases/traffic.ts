import { Pool } from 'undici';
import { Histogram } from '../../src/simulator/histogram.ts';
import { subscribeEnvelope } from '../support/soap.ts';

/** The header by which simulated connectors distinguish requests: `AGENT.NUMBER`. */
const ID_HEADER = 'x-sim-delivery';

/** How requests name their agent: in the header, as with SAP Note 1640673, or in the body, as without. */
export type Naming = 'header' | 'body';

interface Agent {
  readonly name: string;
  readonly naming: Naming;
  requests: number;
}

export interface Tally {
  requests: number;
  /** Answered by the gateway itself. */
  refused: number;
  /** Without a complete answer. */
  failed: number;
  /** Codes and errors, each with how often it came. */
  readonly why: Map<string, number>;
}

const TICK_MS = 20;
const GIVE_UP_MS = 40_000;
/** The limit of pending requests: on a machine that is too slow for the rate, further ones are skipped and counted. */
const MOST_UNDER_WAY = 400;

/** Requests at a fixed rate, whether or not the earlier ones are answered, through the present gateways. */
export class Traffic {
  readonly agents: Agent[] = [];
  readonly #perTick: number;
  readonly #clients = new Map<string, Pool>();
  readonly #underWay = new Set<Promise<void>>();
  #latencies = new Histogram();
  /** The times at which each request began and was answered. */
  readonly times = new Map<string, { readonly begunAt: number; endedAt: number }>();
  /** Answers of each gateway. */
  readonly answeredBy = new Map<string, number>();
  #tally: Tally = emptyTally();
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;
  /** Requests that were skipped because too many were pending. */
  leftOut = 0;
  /** Agents whose last request was answered by an instance. */
  readonly served = new Set<string>();

  constructor(perSecond: number) {
    this.#perTick = (perSecond * TICK_MS) / 1_000;
  }

  /** Requests go to this gateway too. */
  add(gateway: string, url: string): void {
    this.#clients.set(gateway, new Pool(url, { connections: 256 }));
  }

  /** Stops sending there; resolves once all requests there have ended. */
  async remove(gateway: string): Promise<void> {
    const client = this.#clients.get(gateway);
    this.#clients.delete(gateway);
    await client?.close();
  }

  start(): void {
    let owed = 0;
    let lastAt = performance.now();
    this.#timer = setInterval(() => {
      // Makes up for late timers.
      const now = performance.now();
      owed += ((now - lastAt) / TICK_MS) * this.#perTick;
      lastAt = now;
      for (; owed >= 1; owed -= 1) {
        if (this.#underWay.size < MOST_UNDER_WAY) this.#next();
        else this.leftOut += 1;
      }
    }, TICK_MS);
  }

  /** The first requests of each new agent go through all gateways at the same time. */
  async logOn(prefix: string, count: number, naming: Naming, overMs: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      const agent: Agent = { name: `${prefix}${i + 1}`, naming, requests: 0 };
      for (const gateway of this.#clients.keys()) this.#send(agent, gateway);
      this.agents.push(agent);
      await new Promise((resolve) => {
        setTimeout(resolve, overMs / count);
      });
    }
  }

  /** The requests that have ended since the last call. */
  take(): Tally & { readonly p99Ms: number; readonly slowestMs: number } {
    const latencies = this.#latencies;
    this.#latencies = new Histogram();
    const tally = this.#tally;
    this.#tally = emptyTally();
    return {
      ...tally,
      p99Ms: latencies.quantile(0.99),
      slowestMs: latencies.summary().maxMs,
    };
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    await Promise.all([...this.#clients.values()].map((client) => client.destroy()));
  }

  #next(): void {
    const gateways = [...this.#clients.keys()];
    const agent = this.agents[this.#turn % this.agents.length];
    // Each round of agents begins with the next gateway.
    const at = this.#turn + Math.floor(this.#turn / Math.max(1, this.agents.length));
    const gateway = gateways[at % gateways.length];
    this.#turn += 1;
    if (agent !== undefined && gateway !== undefined) this.#send(agent, gateway);
  }

  #send(agent: Agent, gateway: string): void {
    const running = this.#request(agent, gateway).finally(() => this.#underWay.delete(running));
    this.#underWay.add(running);
  }

  async #request(agent: Agent, gateway: string): Promise<void> {
    agent.requests += 1;
    const { name, naming } = agent;
    const client = this.#clients.get(gateway) as Pool;
    const id = `${name}.${agent.requests}`;
    const begunAt = performance.now();
    const time = { begunAt, endedAt: Number.POSITIVE_INFINITY };
    this.times.set(id, time);
    const tell = (why: string): void => {
      this.#tally.why.set(why, (this.#tally.why.get(why) ?? 0) + 1);
    };
    this.#tally.requests += 1;
    try {
      const response = await client.request({
        method: 'POST',
        path: '/ici',
        headers: {
          'content-type': 'text/xml; charset=utf-8',
          [ID_HEADER]: id,
          ...(naming === 'header' ? { soapuser: name } : {}),
        },
        body: subscribeEnvelope(naming === 'body' ? { user: name } : {}),
        headersTimeout: GIVE_UP_MS,
      });
      const text = await response.body.text();
      if (response.statusCode === 200) {
        this.answeredBy.set(gateway, (this.answeredBy.get(gateway) ?? 0) + 1);
        this.served.add(name);
      } else {
        this.#tally.refused += 1;
        this.served.delete(name);
        tell(/GW_\w+/.exec(text)?.[0] ?? String(response.statusCode));
      }
    } catch (error) {
      this.#tally.failed += 1;
      this.served.delete(name);
      tell((error as NodeJS.ErrnoException).code ?? String(error));
    }
    time.endedAt = performance.now();
    this.#latencies.record(time.endedAt - begunAt);
  }
}

function emptyTally(): Tally {
  return { requests: 0, refused: 0, failed: 0, why: new Map() };
}
