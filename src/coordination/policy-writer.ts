import type { PoolEvent } from '../core/agreement/agreed-view.ts';
import type { Configured } from '../core/agreement/configured.ts';
import { eventOfConfigured, withConfigured } from '../core/agreement/configured.ts';
import type { PolicyRequest } from '../core/agreement/ledger.ts';
import type { Policy } from '../core/agreement/policy.ts';
import { StoreUnavailable } from '../core/ports.ts';

export interface PolicyWriterOptions {
  /** The replica in whose name it writes. */
  readonly by: string;
  readonly configured: Configured;
  /** What is known of the ledger here. */
  readonly known: { readonly policy: Policy; readonly isOpen: boolean };
  /** Resolves to false where somebody else's policy came first, or the ledger is not open. */
  readonly write: (request: PolicyRequest) => Promise<boolean>;
  /** Brings {@link known} up to date. */
  readonly renew: () => Promise<void>;
}

// Each lost race means that somebody else's act was written.
const MOST_RACES = 10;

/** Changes one pool's policy at the ledger, where others change it too. */
export class PolicyWriter {
  readonly #o: PolicyWriterOptions;
  #isConfigured = false;

  constructor(options: PolicyWriterOptions) {
    this.#o = options;
  }

  /**
   * Writes what an operator decided. `change` may be called again where somebody
   * else's act came first.
   *
   * @throws StoreUnavailable
   */
  async decree(change: (policy: Policy) => Policy, events: readonly PoolEvent[]): Promise<Policy> {
    const { known, write, renew } = this.#o;
    for (let race = 0; race < MOST_RACES; race += 1) {
      const { policy } = known;
      const next: Policy = { ...change(policy), version: policy.version + 1 };
      const isTaken = await write({ base: policy.version, policy: next, events });
      await renew();
      if (isTaken) return next;
      if (!known.isOpen) {
        throw new StoreUnavailable(
          'the gateways are hearing of each other after a loss of data; try again in a few seconds',
        );
      }
    }
    throw new StoreUnavailable(`the policy was changed by others during each of ${MOST_RACES} tries`);
  }

  /**
   * Writes what the configuration says, once; to be called while the ledger is open. The gateway that started last
   * with another configuration is believed, so that all hold to the same.
   */
  configure(): void {
    if (this.#isConfigured) return;
    this.#isConfigured = true;
    const { by, configured, known } = this.#o;
    const event = eventOfConfigured(known.policy, configured, by);
    if (event === undefined) return;
    // Should the store be gone at this moment, the next call tries again.
    this.decree((policy) => withConfigured(policy, configured), [event]).catch(() => {
      this.#isConfigured = false;
    });
  }
}
