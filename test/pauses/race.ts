import { once } from 'node:events';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Outcome } from '../support/load.ts';
import { post } from '../support/load.ts';

/** A pause of the store, and the results of the first requests of new agents around it. */
export interface Race {
  readonly pauseMs: number;
  /** Resolves with the length of the pause when it is over. */
  readonly pause: () => Promise<number>;
  /** Base URLs of the gateways. */
  readonly gateways: readonly string[];
  /** The path prefixes of the pools, each with another balancer; `''` for the pool at the root. */
  readonly pools: readonly string[];
  /** The number for each pool. */
  readonly agents: number;
  /** The prefix of the names of these agents. */
  readonly prefix: string;
}

export interface RaceResult {
  readonly agents: number;
  /** Agents that more than one instance answered. */
  readonly splits: readonly string[];
  readonly failed: readonly Outcome[];
  /** How long each request took. */
  readonly durations: readonly number[];
}

const BEFORE_MS = 20;
const AFTER_MS = 60;

/**
 * Each agent's first requests go to all gateways at once, some before the pause, most during it, some after it.
 * Resolves with the length of the pause too.
 */
export async function raceThroughPause(
  race: Race,
): Promise<{ readonly pausedMs: number; readonly results: ReadonlyMap<string, RaceResult> }> {
  const { pauseMs, gateways, pools, agents, prefix } = race;
  const span = BEFORE_MS + pauseMs + AFTER_MS;
  const begunAt = performance.now() + BEFORE_MS;
  const pausing = (async () => {
    await until(begunAt);
    return race.pause();
  })();
  const racing = pools.map(async (pool): Promise<[string, RaceResult]> => {
    const results = await Promise.all(
      Array.from({ length: agents }, async (_, i) => {
        await until(begunAt - BEFORE_MS + (span * i) / agents);
        return Promise.all(
          gateways.map((url) => post(pool === '' ? url : `${url}/${pool}`, `${prefix}${i}`)),
        );
      }),
    );
    return [pool, summary(results)];
  });
  const results = new Map(await Promise.all(racing));
  return { pausedMs: await pausing, results };
}

function summary(agents: readonly (readonly Outcome[])[]): RaceResult {
  const all = agents.flat();
  const split = agents.filter((answers) => {
    const connectors = answers.flatMap(({ connector }) => (connector === undefined ? [] : [connector]));
    return new Set(connectors).size > 1;
  });
  return {
    agents: agents.length,
    splits: split.map(([first]) => first?.user ?? ''),
    failed: all.filter(({ status }) => status !== 200),
    durations: all.map(({ durationMs }) => durationMs),
  };
}

async function until(at: number): Promise<void> {
  const ms = at - performance.now();
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Answers at once with its name, with as little work as possible. */
export async function startAnswering(name: string): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    request.resume();
    request.once('end', () => response.writeHead(200, { 'x-connector': name }).end());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
