import { checkTarget } from '../../../../src/core/target.ts';
import type { HealthReport, Verdict } from '../../../../src/core/view/health-report.ts';
import type { Replica } from '../../../../src/core/view/replica.ts';
import type { ReplicaOptions } from '../../../../src/core/view/replica-options.ts';
import type { SyncReply } from '../../../../src/core/view/view-store.ts';
import { ViewStore } from '../../../../src/core/view/view-store.ts';
import { aReplica, rulesOf } from '../../../support/replicas.ts';

export const LEASE = 3_000;
export const JOIN = 1_000;
export const RULES = rulesOf(['a', 'b'], { mode: 'failover' });
const verdict = (health: 'up' | 'down'): Verdict => ({ health, incarnation: '', emptyAt: 0 });
export const says = (a: 'up' | 'down', b: 'up' | 'down' = 'up'): HealthReport => ({
  verdicts: { a: verdict(a), b: verdict(b) },
  settled: true,
  idle: false,
});

/** A view store, its replicas and one clock for all of them. */
export class Cluster {
  now = 1_000_000;
  storeGeneration = 'L1';
  readonly viewStore = new ViewStore({ leaseMs: LEASE, joinMs: JOIN });
  #ids = 0;

  replica(id: string, options: Partial<ReplicaOptions> = {}): Replica {
    const replica = aReplica({
      rules: RULES,
      leaseMs: LEASE,
      onStoreLoss: 'continue',
      awayMs: 300,
      cutOffMs: 1_750,
      id,
      newId: () => {
        this.#ids += 1;
        return String(this.#ids);
      },
      ...options,
    });
    replica.setReport(says('up'));
    return replica;
  }

  get moment() {
    return { mono: this.now, wall: this.now };
  }

  /** One sync, after which the replica's bindings are written back. */
  sync(replica: Replica): SyncReply {
    const request = replica.request(this.moment);
    const reply = this.viewStore.sync(request, this.storeGeneration, this.now);
    replica.accept(request, reply, this.moment, this.moment);
    if (!replica.isRestored) replica.restored(reply.storeGeneration);
    return reply;
  }

  /** Proposes the view that the replica derives, if any. True if the view store took it. */
  propose(replica: Replica): boolean {
    const proposal = replica.proposal(() => undefined);
    if (proposal === undefined || !this.viewStore.propose(proposal, this.storeGeneration, this.now))
      return false;
    replica.proposed(proposal.view, this.moment);
    return true;
  }

  /** Lets every replica sync and propose until nothing changes any more. */
  settle(...replicas: Replica[]): void {
    for (let round = 0; round < 6; round += 1) {
      for (const replica of replicas) {
        this.sync(replica);
        this.propose(replica);
      }
    }
  }

  /** Passes the wait on an empty view store; then every replica has a lease. */
  begin(...replicas: Replica[]): void {
    this.pass(LEASE, ...replicas);
  }

  /** Lets time pass, in which these replicas renew their leases. */
  pass(ms: number, ...replicas: Replica[]): void {
    this.settle(...replicas);
    for (let rest = ms; rest > 0; rest -= JOIN) {
      this.now += Math.min(rest, JOIN);
      this.settle(...replicas);
    }
  }

  mode(replica: Replica): string {
    return replica.modeAt(this.now, this.now);
  }

  /** Where a replica would send a request now; `undefined` where it would not. */
  target(replica: Replica): string | undefined {
    const { active, instances } = replica.view;
    const incarnation = instances.get(active)?.incarnation ?? '';
    const verdictOf = checkTarget(replica, { instance: active, incarnation }, this.now, this.now);
    return verdictOf === 'forward' ? active : undefined;
  }
}

/** Two gateways that hold leases and agree that all instances are up. */
export function twoGateways(): { cluster: Cluster; g1: Replica; g2: Replica } {
  const cluster = new Cluster();
  const [g1, g2] = [cluster.replica('g1'), cluster.replica('g2')];
  cluster.begin(g1, g2);
  return { cluster, g1, g2 };
}
