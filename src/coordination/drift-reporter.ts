import type { Drift } from '../core/view/local-config.ts';
import type { CoordinatorEvents } from './coordinator-options.ts';

/** Reports the differences between this gateway's configuration and the agreed one, once for each change. */
export class DriftReporter {
  readonly #events: Pick<CoordinatorEvents, 'onDrift'>;
  #reported: string | undefined;

  constructor(events: Pick<CoordinatorEvents, 'onDrift'>) {
    this.#events = events;
  }

  report(drift: Drift): void {
    const text = JSON.stringify(drift);
    if (text === this.#reported) return;
    // The first report matters only if there is a difference; later ones also if the last difference has gone.
    const isNews = this.#reported !== undefined || drift.differences.length > 0 || !drift.ready;
    this.#reported = text;
    if (isNews) this.#events.onDrift?.(drift);
  }
}
