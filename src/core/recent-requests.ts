import type { ErrorCode } from './errors.ts';
import type { InstanceId } from './instance.ts';
import type { NameSource } from './seen-names.ts';

/** What an agent did with a request, as far as the gateway had to know it. */
export type AgentAct = 'logon' | 'logoff';

/** One request that has ended, without its body. Names are as the log shows them, sessions as digests. */
export interface RecentRequest {
  /** When it ended. */
  readonly at: string;
  readonly requestId: string;
  readonly client: string | null;
  /** `null` if no pool serves it. */
  readonly pool: string | null;
  readonly user: string | null;
  /** Its digest, as in the list of bindings. */
  readonly session: string | null;
  readonly identitySource: NameSource | null;
  readonly instance: InstanceId | null;
  readonly decision: string;
  /** The first element of the SOAP Body, if the gateway had to look at it. */
  readonly operation: string | null;
  readonly act: AgentAct | null;
  readonly status: number;
  /** The gateway's own error. */
  readonly code: ErrorCode | null;
  readonly attempts: number;
  readonly durationMs: number;
  /** From the first byte to the instance to the header of its answer. */
  readonly instanceMs: number | null;
  /** The time in which it waited for an instance or a place there. */
  readonly waitedMs: number;
}

/** The same as one worker tells it, in milliseconds since the Unix epoch. */
export type RecordedRequest = Omit<RecentRequest, 'at'> & { readonly at: number };

/** Any error code of the gateway. */
export const ANY_CODE = 'any';

/** Which requests are asked for; each given field must match. */
export interface RequestQuery {
  readonly pool?: string | undefined;
  /** In canonical form, or as the log shows it. */
  readonly user?: string | undefined;
  /** Its digest. */
  readonly session?: string | undefined;
  readonly instance?: InstanceId | undefined;
  readonly code?: ErrorCode | typeof ANY_CODE | undefined;
  readonly operation?: string | undefined;
  /** At most so many, the newest. */
  readonly limit: number;
  /** At most so many with the same code. */
  readonly mostOfCode?: number | undefined;
  /** For each worker that the asker knows: the number of its last request by then. */
  readonly after?: RingPositions | undefined;
}

/** By the ring of a worker, which another process never continues: the number of requests that were recorded. */
export type RingPositions = Readonly<Record<string, number>>;

/** What one worker tells. */
export interface WorkerRequests {
  readonly ring: string;
  readonly recorded: number;
  /** Since when all its requests are kept, in milliseconds since the Unix epoch. */
  readonly since: number;
  /** Requests since the asked position that are no longer kept, whether or not they match. */
  readonly overwritten: number;
  /** Requests that match and are beyond the limit. */
  readonly leftOut: number;
  /** The newest first. */
  readonly requests: readonly RecordedRequest[];
}

/** A worker, and its answer if it gave one in time. */
export interface AskedWorker<Told> {
  readonly worker: string;
  readonly told: Told | undefined;
}

export interface RecentRequestsStatus {
  /** The newest first. */
  readonly requests: readonly RecentRequest[];
  /** To be sent as `after` by those who want only what is newer. */
  readonly last: string;
  /** Requests since `after` that are neither listed nor will be. */
  readonly missed: number;
  /** Since when all requests are kept; `null` if no worker has answered. */
  readonly since: string | null;
  /** The workers that have not answered in time: what they have is missing, and comes later by `after`. */
  readonly silent: readonly string[];
  /** A worker has ended since `after`, and what it had not told is lost. */
  readonly hasEnded: boolean;
}

export function requestsStatus(
  asked: readonly AskedWorker<WorkerRequests>[],
  { limit, after }: Pick<RequestQuery, 'limit' | 'after'>,
): RecentRequestsStatus {
  const answers = asked.flatMap(({ told }) => told ?? []);
  const silent = asked.filter(({ told }) => told === undefined).map(({ worker }) => worker);
  const found = answers.flatMap(({ requests }) => requests).sort((a, b) => b.at - a.at);
  const requests = found.slice(0, limit);
  const leftOut = answers.reduce((sum, one) => sum + one.leftOut, found.length - requests.length);
  const overwritten = answers.reduce((sum, one) => sum + one.overwritten, 0);
  const told = Object.fromEntries(answers.map(({ ring, recorded }) => [ring, recorded]));
  const untold = Object.entries(after ?? {}).filter(([ring]) => !(ring in told));
  return {
    requests: requests.map(({ at, ...request }) => ({ at: new Date(at).toISOString(), ...request })),
    // A worker that is silent now goes on from its own position later.
    last: positionsText({ ...(silent.length > 0 ? Object.fromEntries(untold) : {}), ...told }),
    missed: after === undefined ? 0 : leftOut + overwritten,
    since:
      answers.length === 0 ? null : new Date(Math.max(...answers.map(({ since }) => since))).toISOString(),
    silent,
    hasEnded: untold.length > silent.length,
  };
}

// More workers than a host has, of which some have ended while others were silent.
const MOST_RINGS = 100;

function positionsText(positions: RingPositions): string {
  const parts = Object.entries(positions).slice(-MOST_RINGS);
  return parts.length === 0 ? '-' : parts.map(([ring, number]) => `${ring}.${number}`).join('~');
}

/** Reads {@link RecentRequestsStatus.last}; `undefined` if the text is something else. */
export function parsePositions(text: string): RingPositions | undefined {
  if (text === '-') return {};
  const positions: Record<string, number> = {};
  for (const part of text.split('~')) {
    const [, ring, number] = /^([0-9a-f]{8})\.(\d{1,15})$/.exec(part) ?? [];
    if (ring === undefined) return undefined;
    positions[ring] = Number(number);
  }
  return positions;
}
