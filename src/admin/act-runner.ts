import { ViewChanged } from '../core/act-refused.ts';
import type { InstanceId } from '../core/instance.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Act } from './pool-acts.ts';
import type { PoolSource } from './pool-source.ts';

/** The fields that the body of every change has. */
interface ActBody {
  readonly why: string;
  readonly by?: string;
  /** Set by the guard, never by the sender. */
  readonly source?: string;
  /** The id of the view that the operator decided on. */
  readonly ifView?: string;
}

/** A change that an operator requests. */
export interface RequestedAct {
  /** Missing if the change affects this gateway only. */
  readonly pool?: PoolSource;
  /** The last part of the route's path, such as `drain`. */
  readonly act: string;
  /** `''` if the change concerns no single instance. */
  readonly instance?: InstanceId;
  readonly body: ActBody;
}

/** Runs the changes of operators, and logs and counts their outcomes. */
export class ActRunner {
  /** The last change of each pool that names a view. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #logger: Logger;
  readonly #metrics: Metrics;

  constructor({ logger, metrics }: { readonly logger: Logger; readonly metrics: Metrics }) {
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** Rejects as `run` does, and with {@link ViewChanged}. */
  async run<Result>(requested: RequestedAct, run: (act: Act) => Promise<Result>): Promise<Result> {
    const { pool: source, act, instance = '', body } = requested;
    const { by = 'admin', why, source: from, ifView } = body;
    const pool = source?.name ?? NO_POOL;
    const fields = { pool, act, instance, by, why };
    const made = {
      by,
      why,
      ...(from === undefined ? {} : { source: from }),
      ...(ifView === undefined ? {} : { ifView }),
    };
    try {
      const result =
        source === undefined || ifView === undefined
          ? await run(made)
          : await this.#onView(source, ifView, () => run(made));
      this.#metrics.adminActs.inc({ pool, act, outcome: 'ok' });
      this.#logger.info(fields, 'act of an operator');
      return result;
    } catch (error) {
      const outcome = error instanceof StoreUnavailable ? 'unavailable' : 'refused';
      this.#metrics.adminActs.inc({ pool, act, outcome });
      this.#logger.info(
        { ...fields, reason: (error as Error).message },
        'act of an operator not carried out',
      );
      throw error;
    }
  }

  /**
   * Runs the change only if the pool's view is still this one. Such changes of a pool run one after the other: a second
   * click of an impatient operator then finds the view that the first one has made, and is refused.
   */
  #onView<Result>(pool: PoolSource, seen: string, run: () => Promise<Result>): Promise<Result> {
    const before = this.#turns.get(pool.name) ?? Promise.resolve();
    const turn = before.then(() => {
      const { id } = pool.operations.agreed;
      if (id !== seen) throw new ViewChanged(seen, id);
      return run();
    });
    this.#turns.set(
      pool.name,
      turn.catch(() => undefined),
    );
    return turn;
  }
}

// The pool in labels and log fields of a change that affects this gateway only.
const NO_POOL = '';
