import type { InstanceId } from '../../src/core/instance.ts';
import { StoreUnavailable } from '../../src/core/ports.ts';
import type { Verdict } from '../../src/core/view/health-report.ts';
import type { Policy } from '../../src/core/view/policy.ts';
import type { Replica } from '../../src/core/view/replica.ts';
import type { Moment } from '../../src/core/view/routing-state.ts';
import type { PoolMode } from '../../src/core/view/view.ts';
import type { SyncReply } from '../../src/core/view/view-store.ts';
import { ViewStore } from '../../src/core/view/view-store.ts';
import { aReplica, rulesOf } from './replicas.ts';

const LEASE_MS = 60_000;
const GENERATION = 'generation';
export const UP: Verdict = { health: 'up', incarnation: '', emptyAt: 0 };
export const DOWN: Verdict = { health: 'down', incarnation: '', emptyAt: 0 };

export type Verdicts = Readonly<Record<InstanceId, Verdict>>;

const now = (): Moment => ({ mono: performance.now(), wall: Date.now() });

/** Replicas that agree on one pool, with the real engine and the real view store; tests decide which messages arrive when. */
export class Agreement {
  readonly viewStore = new ViewStore({ leaseMs: LEASE_MS, joinMs: 0 });
  readonly replicas: readonly Replica[];
  /** No replica reaches the view store. */
  isAway = false;
  #now = 0;

  constructor(options: {
    readonly mode?: PoolMode;
    readonly instances: readonly InstanceId[];
    readonly replicas?: number;
    readonly onStoreLoss?: 'continue' | 'refuse';
    readonly cutOffMs?: number;
  }) {
    const rules = rulesOf(options.instances, { mode: options.mode ?? 'sticky' });
    this.replicas = Array.from({ length: options.replicas ?? 1 }, (_, i) =>
      aReplica({
        id: `r${i}`,
        rules,
        leaseMs: LEASE_MS,
        onStoreLoss: options.onStoreLoss ?? 'continue',
        cutOffMs: options.cutOffMs ?? Number.POSITIVE_INFINITY,
      }),
    );
    const all = Object.fromEntries(options.instances.map((id) => [id, UP]));
    for (const replica of this.replicas) this.sees(replica, all);
    this.agree();
    // A view store without replicas waits until any possible earlier lease has ended.
    for (let third = 0; third < 3; third += 1) {
      this.#now += LEASE_MS / 3;
      this.agree();
    }
  }

  /** The fencing token that claims need now. */
  get fencingToken(): string {
    return this.viewStore.fencingTokenAt(this.#now);
  }

  sees(replica: Replica, verdicts: Verdicts): void {
    replica.setReport({ verdicts, settled: true, idle: false });
    replica.tick(now());
  }

  /** All replicas observe this, and agree on the resulting view. */
  agreeOn(verdicts: Verdicts): void {
    for (const replica of this.replicas) this.sees(replica, verdicts);
    this.agree();
  }

  commitPolicy(change: (policy: Policy) => Policy): void {
    const [{ lastSync }] = this.replicas as [Replica];
    const { policy } = lastSync;
    this.viewStore.commitPolicy(
      { base: policy.version, policy: { ...change(policy), version: policy.version + 1 }, events: [] },
      GENERATION,
      this.#now,
    );
    this.agree();
  }

  /** Runs exchanges until no replica has anything new. */
  agree(): void {
    for (let round = 0; round < 6; round += 1) {
      for (const replica of this.replicas) this.sync(replica);
    }
  }

  /** One sync of one replica with the view store, and the proposal that follows from it. */
  sync(replica: Replica): void {
    const sent = now();
    const request = replica.request(sent);
    let reply: SyncReply;
    try {
      reply = this.#answer(() => this.viewStore.sync(request, GENERATION, this.#now));
    } catch {
      replica.failed(now());
      return;
    }
    replica.accept(request, reply, sent, sent);
    replica.restored(GENERATION);
    replica.tick(now());
    const proposal = replica.proposal(() => undefined);
    if (proposal === undefined) return;
    if (this.viewStore.propose(proposal, GENERATION, this.#now)) replica.proposed(proposal.view, now());
  }

  #answer<T>(ask: () => T): T {
    if (this.isAway) throw new StoreUnavailable('away');
    return ask();
  }
}
