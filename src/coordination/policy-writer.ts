import { ViewChanged } from '../core/act-refused.ts';
import { StoreUnavailable } from '../core/ports.ts';
import type { AgreedView, PoolEvent } from '../core/view/agreed-view.ts';
import type { LastSync } from '../core/view/last-sync.ts';
import { withAgreedRules } from '../core/view/legacy-policy.ts';
import type { Policy } from '../core/view/policy.ts';
import type { PolicyRequest } from '../core/view/view-store.ts';

export interface PolicyWriterOptions {
  /** What this gateway knows of the view store. */
  readonly known: {
    readonly lastSync: Pick<LastSync, 'policy' | 'isOpen'>;
    readonly agreed: Pick<AgreedView, 'id'>;
  };
  /** Resolves to false if another gateway's policy or view came first, or the view store is not open. */
  readonly write: (request: PolicyRequest) => Promise<boolean>;
  /** Brings {@link known} up to date, but does not wait for a view store that is slow. */
  readonly renew: () => Promise<void>;
  /** The same, and waits for the answer of a view store that is slow. */
  readonly catchUp: () => Promise<void>;
}

// Each lost race means that another change was written.
const MAX_RACES = 10;

/** Changes one pool's policy in the view store, where other gateways change it too. */
export class PolicyWriter {
  readonly #options: PolicyWriterOptions;
  #isMirroring = false;

  constructor(options: PolicyWriterOptions) {
    this.#options = options;
  }

  /**
   * Writes what an operator decided. `change` is called again if another gateway's change came first. Nothing is
   * written if it changes nothing.
   *
   * @param onView the id of the view on which the operator decided: nothing is written if another gateway's view or
   * policy came first
   * @throws StoreUnavailable
   * @throws ViewChanged
   */
  async commitPolicy(
    change: (policy: Policy) => Policy,
    events: readonly PoolEvent[],
    onView?: string,
  ): Promise<Policy> {
    const { known, write, renew, catchUp } = this.#options;
    for (let race = 0; race < MAX_RACES; race += 1) {
      const { policy } = known.lastSync;
      const changed = change(policy);
      if (changed === policy) return policy;
      const next: Policy = { ...changed, version: policy.version + 1 };
      const isTaken = await write({ base: policy.version, policy: next, events, onView });
      if (isTaken) {
        await renew();
        return next;
      }
      // Another attempt on the policy that was just refused would be refused too.
      await catchUp();
      if (!known.lastSync.isOpen) {
        throw new StoreUnavailable(
          'the gateways are rebuilding the view store after it lost data; try again in a few seconds',
        );
      }
      if (onView !== undefined) throw new ViewChanged(onView, known.agreed.id);
    }
    throw new StoreUnavailable(
      `another gateway changed the policy during each of ${MAX_RACES} attempts; try again`,
    );
  }

  /**
   * Copies the agreed configuration into the policy, where releases look for it that do not know the agreed one. To be
   * called while the view store is open.
   */
  mirror({ config }: AgreedView): void {
    const { policy: known } = this.#options.known.lastSync;
    if (config === undefined || this.#isMirroring || withAgreedRules(known, config) === known) return;
    this.#isMirroring = true;
    // If the store is away, the next call tries again.
    this.commitPolicy((policy) => withAgreedRules(policy, config), [])
      .catch(() => undefined)
      .finally(() => {
        this.#isMirroring = false;
      });
  }
}
