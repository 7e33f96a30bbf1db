import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Problem } from './client.ts';
import { read } from './client.ts';
import { clock } from './clock.ts';

export interface Polled<Body> {
  readonly data: Body | undefined;
  /** When the data was received. */
  readonly at: number;
  readonly problem: Problem | undefined;
  /** The data belongs to an earlier path: the filter was changed, and the answer is under way. */
  readonly isOld: boolean;
  readonly again: () => void;
}

interface Held<Body> {
  readonly data: Body | undefined;
  readonly at: number;
  readonly problem: Problem | undefined;
  readonly path: string | undefined;
}

interface Asking {
  readonly now: () => void;
  readonly soon: () => void;
}

// While many agents log on, something changes all the time, and a list costs the gateway and its store something.
const LEAST_GAP_MS = 1_500;

// That something is not there is news, and no reason to call the data old.
function atOf({ status }: Problem, { at }: { readonly at: number }): number {
  return status === 404 ? clock.now() : at;
}

/**
 * Asks for a path again and again. Data stays when a later question fails, and until a new path is answered.
 *
 * @param path `undefined`: nothing is asked
 * @param change when this is another value, it is asked at once, or soon if it was asked a moment ago
 */
export function usePoll<Body>(path: string | undefined, everyMs: number, change = ''): Polled<Body> {
  const [held, setHeld] = useState<Held<Body>>({
    data: undefined,
    at: 0,
    problem: undefined,
    path: undefined,
  });
  const asking = useRef<Asking>({ now: () => undefined, soon: () => undefined });
  useEffect(() => {
    if (path === undefined) return undefined;
    const ending = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let dueAt = Number.POSITIVE_INFINITY;
    let askedAt = Number.NEGATIVE_INFINITY;
    let latest = 0;
    /** Asks after this time, unless it is asked sooner anyway. */
    const plan = (delayMs: number): void => {
      const moment = performance.now() + delayMs;
      if (moment >= dueAt) return;
      dueAt = moment;
      clearTimeout(timer);
      timer = setTimeout(() => void ask(), delayMs);
    };
    const ask = async (): Promise<void> => {
      clearTimeout(timer);
      dueAt = Number.POSITIVE_INFINITY;
      askedAt = performance.now();
      latest += 1;
      const own = latest;
      const answer = await read<Body>(path, ending.signal);
      // An answer that was overtaken by the next one is older.
      if (ending.signal.aborted || own !== latest) return;
      if (answer.ok) setHeld({ data: answer.body, at: clock.now(), problem: undefined, path });
      else
        setHeld((before) => ({ ...before, at: atOf(answer.problem, before), problem: answer.problem, path }));
      // A page in the background asks when it is looked at again.
      if (document.visibilityState === 'visible') plan(everyMs);
    };
    const onVisible = (): void => {
      if (document.visibilityState === 'visible') void ask();
    };
    asking.current = {
      now: () => void ask(),
      soon: () => plan(Math.max(0, askedAt + LEAST_GAP_MS - performance.now())),
    };
    document.addEventListener('visibilitychange', onVisible);
    void ask();
    return () => {
      ending.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [path, everyMs]);
  const seen = useRef(change);
  useEffect(() => {
    if (seen.current !== change) asking.current.soon();
    seen.current = change;
  }, [change]);
  const again = useCallback(() => asking.current.now(), []);
  const { data, at, problem } = held;
  return { data, at, problem, isOld: held.path !== path, again };
}
