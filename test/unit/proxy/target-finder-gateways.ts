import { vi } from 'vitest';
import { BindingCache } from '../../../src/affinity/binding-cache.ts';
import { Bindings } from '../../../src/affinity/bindings.ts';
import type { AgentGroups } from '../../../src/core/agent-groups.ts';
import type { Coordinator } from '../../../src/core/ports.ts';
import type { Target } from '../../../src/core/target.ts';
import { checkTarget } from '../../../src/core/target.ts';
import type { Replica } from '../../../src/core/view/replica.ts';
import type { Unanswered } from '../../../src/core/view/store-outage.ts';
import type { PoolMode } from '../../../src/core/view/view.ts';
import type { Pool, SessionLostAnswer } from '../../../src/proxy/pool.ts';
import type { RequestContext } from '../../../src/proxy/request-context.ts';
import { TargetFinder } from '../../../src/proxy/target-finder.ts';
import { Agreement, UP } from '../../support/agreement.ts';
import { FencedStore } from '../../support/fenced-store.ts';

export const ALL_UP = { a: UP, b: UP, c: UP };

/** The agreement of the gateways that `begin` made last. */
export let agreement: Agreement;
export let store: FencedStore;
let preferred: string;

/** From now on the balancer proposes this instance, and not `a`. */
export function prefer(instance: string): void {
  preferred = instance;
}

/** One gateway: a replica, its bindings and its finder of targets. */
export class Side {
  readonly replica: Replica;
  readonly pool: Pool;
  readonly targets: TargetFinder;
  renewals = 0;

  constructor(number: number, mode: PoolMode, answer: SessionLostAnswer, groups?: AgentGroups) {
    this.replica = agreement.replicas[number] as Replica;
    this.targets = new TargetFinder({
      suspect: () => {},
      renew: async () => {
        this.renewals += 1;
        agreement.sync(this.replica);
      },
      storeFailed: async (_pool: string, claim: Unanswered) => {
        this.replica.doubtStore({ mono: performance.now(), wall: Date.now() }, claim);
        agreement.sync(this.replica);
      },
    } as Partial<Coordinator> as Coordinator);
    this.pool = {
      name: 'ici',
      mode,
      bindsAgents: mode === 'sticky' || answer === 'fault',
      anonymous: 'any',
      sessionLost: answer,
      balancer: (candidates) => candidates.find(({ id }) => id === preferred) ?? candidates[0],
      balancerName: 'rendezvous',
      groups,
      maxAgents: new Map(),
      anonymousBalancer: (candidates) => candidates[0],
      bindings: new Bindings({
        store,
        gateway: `gateway-${number}`,
        cache: new BindingCache({ maxEntries: 100, idleLifetimeMs: 3_600_000 }),
        sessionsAreProvisional: false,
        groups,
        epoch: () => this.replica.agreed.epoch,
        events: {
          onConflict: () => {},
          onShared: () => {},
          onReplaced: () => {},
          onRebound: () => {},
          onOperation: () => {},
        },
      }),
      routingState: this.replica,
    } as Partial<Pool> as Pool;
  }

  async route(context: RequestContext): Promise<Target> {
    const route = await this.targets.find(this.pool, context);
    if ('wait' in route) throw new Error(`waits for ${route.wait}`);
    return route;
  }

  /** The instance to which the request of an agent goes. */
  async to(user: string): Promise<string> {
    return (await this.route(request(user))).instance;
  }

  async waitsFor(user: string | undefined): Promise<string> {
    const route = await this.targets.find(this.pool, request(user));
    if (!('wait' in route)) throw new Error(`goes to ${route.instance}`);
    return route.wait;
  }

  mayStillSend(way: Target): boolean {
    return checkTarget(this.replica, way, performance.now(), Date.now()) === 'forward';
  }
}

export const request = (user?: string): RequestContext =>
  ({
    request: { id: 'r' },
    raw: { headers: {} },
    user,
    session: undefined,
    address: undefined,
    userIsFound: false,
    sessionIsFound: false,
    decision: 'refused',
    epoch: 0,
    sessionLost: false,
  }) as Partial<RequestContext> as RequestContext;

export function begin(
  options: {
    mode?: PoolMode;
    replicas?: number;
    onStoreLoss?: 'continue' | 'refuse';
    cutOffMs?: number;
    answer?: SessionLostAnswer;
    groups?: AgentGroups;
  } = {},
): Side[] {
  agreement = new Agreement({ instances: ['a', 'b', 'c'], ...options });
  preferred = 'a';
  store = new FencedStore(() => agreement.fencingToken);
  const { mode = 'sticky', answer = 'pass', groups } = options;
  return agreement.replicas.map((_, i) => new Side(i, mode, answer, groups));
}

/** Advances the monotonic clock by a minute. */
export function leaseEnds(): void {
  const { now } = performance;
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 60_000);
}
