import type { AgentBindings } from './agent-bindings.ts';
import type { Binding } from './binding.ts';
import type { Ruling, SessionHolds, UserHolds } from './evidence.ts';
import type { Holdings } from './holdings.ts';

/** What was looked at, and what would be done, while a request was explained. */
export type StoreNote =
  | {
      readonly kind: 'claim';
      readonly by: Ruling;
      readonly userHolds: UserHolds;
      readonly sessionHolds: SessionHolds;
      readonly holdings: Holdings;
      readonly binding: Binding | undefined;
      readonly made: boolean;
      readonly isFull: boolean;
    }
  | { readonly kind: 'lookup'; readonly holdings: Holdings; readonly binding: Binding | undefined }
  | { readonly kind: 'alone'; readonly binding: Binding | undefined }
  | { readonly kind: 'move'; readonly from: Binding; readonly binding: Binding };

/** Bindings by which nothing is changed, and which note what was asked of them. */
export interface ExplainableBindings extends AgentBindings {
  readonly notes: readonly StoreNote[];
  /** The same for one more way through the router. What the store has answered is not asked again. */
  again(): ExplainableBindings;
}
