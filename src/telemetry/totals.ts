import type { KeptEvidence } from '../core/probes/evidence.ts';

/** The counters of one controller and of ended processes, summed by it. Workers keep them for the next controller. */
export interface Totals {
  /** The controller that summed: a worker also returns to a controller the totals that it sent itself. */
  readonly by: string;
  /** In prom-client's format. */
  readonly counted: readonly unknown[];
  /** What the probes of each pool have shown. Missing from a controller of an earlier release. */
  readonly probes?: Readonly<Record<string, KeptEvidence>>;
}
