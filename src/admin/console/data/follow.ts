import { useEffect, useState } from 'preact/hooks';
import { read } from './client.ts';
import { clock } from './clock.ts';
import type { RecentRequest, RecentRequestsStatus } from './contract.ts';
import type { Polled } from './poll.ts';

const EVERY_MS = 1_000;
/** The most requests that a page keeps. */
const MOST_SHOWN = 300;

export interface Followed {
  /** The newest first. */
  readonly requests: readonly RecentRequest[];
  /** Requests that came and went between two answers. */
  readonly missed: number;
  readonly since: string | null;
  readonly silent: readonly string[];
  /** A worker has ended meanwhile. */
  readonly hasEnded: boolean;
}

type Source = Pick<Polled<Followed>, 'data' | 'at' | 'problem' | 'isOld'>;
type Held = Omit<Source, 'isOld'> & { readonly asked: string; readonly last: string | undefined };

const NOTHING: Held = { data: undefined, at: 0, problem: undefined, asked: '', last: undefined };

/**
 * The last requests that fit, and those that come. While it is paused, what is shown stays; what comes meanwhile is
 * shown afterwards.
 *
 * @param asked the filters, as a query
 */
export function useFollowed(asked: string, isPaused: boolean): Source {
  const [held, setHeld] = useState<Held>(NOTHING);
  const last = held.asked === asked ? held.last : undefined;
  const { at, problem } = held;
  // Each answer plans the next question, so that a slow gateway is not asked twice at once.
  useEffect(() => {
    if (isPaused) return undefined;
    const ending = new AbortController();
    const ask = async (): Promise<void> => {
      if (document.visibilityState === 'hidden') {
        timer = setTimeout(() => void ask(), EVERY_MS);
        return;
      }
      const query = new URLSearchParams(asked);
      query.set('limit', String(MOST_SHOWN));
      if (last !== undefined) query.set('after', last);
      const answer = await read<RecentRequestsStatus>(`/requests?${query}`, ending.signal);
      if (ending.signal.aborted) return;
      const moment = clock.now();
      setHeld((before) =>
        answer.ok
          ? {
              data: joined(last === undefined ? undefined : before.data, answer.body),
              at: moment,
              problem: undefined,
              asked,
              last: answer.body.last,
            }
          : { ...before, problem: answer.problem },
      );
    };
    let timer = setTimeout(() => void ask(), last === undefined && problem === undefined ? 0 : EVERY_MS);
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, [asked, isPaused, last, at, problem]);
  return { data: held.data, at, problem, isOld: held.data !== undefined && held.asked !== asked };
}

function joined(before: Followed | undefined, answer: RecentRequestsStatus): Followed {
  return {
    requests: [...answer.requests, ...(before?.requests ?? [])]
      // What a worker tells late stands where it belongs.
      .sort((a, b) => b.at.localeCompare(a.at))
      .slice(0, MOST_SHOWN),
    missed: (before?.missed ?? 0) + answer.missed,
    since: answer.since,
    silent: answer.silent,
    hasEnded: before?.hasEnded === true || answer.hasEnded,
  };
}
