import { ActRefused } from '../../core/act-refused.ts';
import type { ExplainQuestion, Explanation } from '../../core/explanation.ts';
import { StoreUnavailable } from '../../core/ports.ts';
import type { Calls } from './calls.ts';
import { CallFailed, isUnknownMethod } from './calls.ts';

interface AskedWorker {
  readonly id: string;
  readonly calls: Pick<Calls, 'call'>;
}

// Longer than a worker goes on with one question.
const WORKER_MS = 5_000;
// For all workers that are asked one after another.
const ALL_MS = 8_000;

/** Asks workers in turns how they would route a request, so that no worker's traffic pays for all questions. */
export class ExplainingWorkers {
  #asked = '';

  /**
   * @throws ActRefused if no worker can tell
   * @throws StoreUnavailable if a worker could not ask the store
   */
  async explain(workers: readonly AskedWorker[], question: ExplainQuestion): Promise<Explanation> {
    const until = performance.now() + ALL_MS;
    let refusal = new ActRefused(409, 'this gateway has no worker now: try again');
    for (const { id, calls } of this.#inTurns(workers)) {
      const limitMs = Math.min(WORKER_MS, until - performance.now());
      if (limitMs <= 0) break;
      this.#asked = id;
      try {
        return (await calls.call('explain', [question], limitMs)) as Explanation;
      } catch (error) {
        refusal = refusalOf(error);
      }
    }
    throw refusal;
  }

  /** The one that was asked last comes last. */
  #inTurns(workers: readonly AskedWorker[]): readonly AskedWorker[] {
    const next = workers.findIndex(({ id }) => id === this.#asked) + 1;
    return [...workers.slice(next), ...workers.slice(0, next)];
  }
}

/**
 * Why a worker did not explain the request, if another one may.
 *
 * @throws the error if no other worker would do better
 */
function refusalOf(error: unknown): ActRefused {
  const { name, message } = error as Error;
  if (name === 'StoreUnavailable') throw new StoreUnavailable(message, error);
  if (name === 'ActRefused') return new ActRefused(409, message);
  if (isUnknownMethod(error, 'explain'))
    return new ActRefused(
      409,
      'the workers of this gateway are of an earlier release, which explains no requests: try again after the update',
    );
  if (error instanceof CallFailed)
    return new ActRefused(
      503,
      `no worker of this gateway could explain it in time (${message}): try again; if that does not help, the store or this host is too slow`,
    );
  throw error;
}
