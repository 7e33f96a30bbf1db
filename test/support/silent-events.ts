import type { CoordinatorEvents } from '../../src/coordination/coordinator-options.ts';

/** The events of a pool coordinator, for tests that do not look at them. */
export const SILENT_EVENTS: CoordinatorEvents = {
  onView: () => undefined,
  onStoreState: () => undefined,
  onCutOff: () => undefined,
  onAbstention: () => undefined,
  onNotRestored: () => undefined,
  onProbeFailed: () => undefined,
  onOperation: () => undefined,
};
