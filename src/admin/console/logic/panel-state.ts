/** What a panel shows. */
export type PanelState = 'loading' | 'empty' | 'partial' | 'stale' | 'error' | 'ready';

export interface PanelFacts {
  readonly hasData: boolean;
  readonly hasError: boolean;
  /** Milliseconds since the data was received. */
  readonly age: number;
  /** From this age on the data is shown as old. */
  readonly staleAfter: number;
  readonly isEmpty?: boolean;
  /** Some of what belongs here could not be had. */
  readonly isPartial?: boolean;
}

/** Data stays when a later question fails: it is then stale, not gone. */
export function panelState(facts: PanelFacts): PanelState {
  if (!facts.hasData) return facts.hasError ? 'error' : 'loading';
  if (facts.hasError || facts.age > facts.staleAfter) return 'stale';
  if (facts.isPartial === true) return 'partial';
  return facts.isEmpty === true ? 'empty' : 'ready';
}
