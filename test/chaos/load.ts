import type { Outcome } from '../support/load.ts';
import { post } from '../support/load.ts';
import type { EndedRequest } from './measures.ts';

/** Requests at a fixed rate, whether or not the earlier ones are answered, each over a new connection, like SAP. */
export interface OpenLoad {
  readonly requests: EndedRequest[];
  /** Adds these agents to the load. */
  join(agents: readonly string[]): void;
  /** Sends no further request. Resolves once all have ended or timed out. */
  stop(): Promise<void>;
}

const TICK_MS = 10;
/** Longer than a gateway waits for an answer. */
const GIVE_UP_MS = 40_000;

/** @param perSecond requests of each agent */
export function startOpenLoad(url: string, agents: readonly string[], perSecond: number): OpenLoad {
  const requests: EndedRequest[] = [];
  const underWay = new Set<Promise<void>>();
  const working = [...agents];
  let owed = 0;
  let turn = 0;
  let lastAt = performance.now();
  const send = (agent: string): void => {
    const running = post(url, agent, {}, 'subscribe', { giveUpMs: GIVE_UP_MS }).then((outcome) => {
      requests.push(endedOf(outcome));
      underWay.delete(running);
    });
    underWay.add(running);
  };
  const timer = setInterval(() => {
    const now = performance.now();
    owed += ((now - lastAt) / 1_000) * perSecond * working.length;
    lastAt = now;
    for (; owed >= 1; owed -= 1) {
      send(working[turn % working.length] as string);
      turn += 1;
    }
  }, TICK_MS);
  return {
    requests,
    join: (more) => void working.push(...more),
    stop: async () => {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}

export function endedOf({ id, user, connector, incarnation = '', ...how }: Outcome): EndedRequest {
  const { status, code, error, startedAt, durationMs } = how;
  const by = connector === undefined || status !== 200 ? undefined : { connector, incarnation };
  return {
    agent: user,
    id,
    begunAt: startedAt,
    endedAt: startedAt + durationMs,
    by,
    failure: by === undefined ? (code ?? error ?? String(status)) : undefined,
  };
}
