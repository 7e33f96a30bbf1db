import type { Drift } from '../core/view/local-config.ts';
import type { CoordinatorEvents } from './coordinator-options.ts';

/** Reports each change in how the configuration of this gateway differs from the agreed one, once. */
export class DriftReporter {
  readonly #events: Pick<CoordinatorEvents, 'onDrift'>;
  #reported = '';

  constructor(events: Pick<CoordinatorEvents, 'onDrift'>) {
    this.#events = events;
  }

  report(drift: Drift): void {
    const text = JSON.stringify(drift);
    if (text === this.#reported) return;
    // At the beginning nothing has ended.
    const isNews = this.#reported !== '' || drift.differences.length > 0 || !drift.ready;
    this.#reported = text;
    if (isNews) this.#events.onDrift?.(drift);
  }
}
