import type { PoolCoordinatorOptions } from '../../../src/coordination/coordinator-options.ts';
import type { LocalViewStore } from '../../../src/coordination/local-view-store.ts';
import { PoolCoordinator } from '../../../src/coordination/pool-coordinator.ts';
import type { Observation } from '../../../src/core/health.ts';
import type { ViewStoreClient } from '../../../src/core/ports.ts';
import { checkTarget } from '../../../src/core/target.ts';
import type { Knowledge } from '../../../src/core/view/replica-options.ts';
import { rulesOf } from '../../support/replicas.ts';
import { SILENT_EVENTS } from '../../support/silent-events.ts';

export const PASS: Observation = { passed: true, incarnation: '1' };
export const FAIL: Observation = { passed: false };

/** Coordinators of one pool with the instances a and b, and what they report. */
export class Coordinators {
  readonly told: string[] = [];
  readonly #made: PoolCoordinator[] = [];

  make(
    id: string,
    viewStore: ViewStoreClient,
    given: {
      leaseMs?: number;
      knew?: Knowledge;
      awaitsConfirmation?: boolean;
    } & Partial<PoolCoordinatorOptions> = {},
  ): PoolCoordinator {
    const { leaseMs = Number.POSITIVE_INFINITY, knew, awaitsConfirmation = false, ...options } = given;
    let ids = 0;
    const coordinator = new PoolCoordinator({
      replica: {
        id,
        pool: 'ici',
        rules: rulesOf(['a', 'b'], { mode: 'failover' }),
        weights: new Map(),
        leaseMs,
        onStoreLoss: 'continue',
        awayMs: 50,
        cutOffMs: 1_000,
        awaitsConfirmation,
        newId: () => {
          ids += 1;
          return `${id}-${ids}`;
        },
        ...(knew === undefined ? {} : { earlierKnowledge: knew }),
      },
      thresholds: { rise: 1, fall: 1 },
      viewStore,
      renewMs: 20,
      doubtMs: 50,
      answerMs: leaseMs / 3,
      suspectEveryMs: 10,
      writeBack: async () => {},
      boundAgents: () => undefined,
      isIdle: () => false,
      events: {
        ...SILENT_EVENTS,
        onView: (before, after) => this.told.push(`${id}: ${before.active} to ${after.active}`),
        onStoreState: (state) => this.told.push(`${id}: store ${state}`),
        onAbstention: (abstains) => this.told.push(`${id}: abstains ${abstains}`),
        onNotRestored: (error) => this.told.push(`${id}: ${(error as Error).message}`),
        onProbeFailed: (instance, reason, isDownNow) =>
          this.told.push(`${id}: ${instance} ${isDownNow ? 'down' : 'doubted'}, ${reason}`),
      },
      ...options,
    });
    this.#made.push(coordinator);
    return coordinator;
  }

  async close(): Promise<void> {
    for (const coordinator of this.#made.splice(0)) await coordinator.close();
  }
}

export function observeBoth(coordinator: PoolCoordinator, a: Observation, b: Observation = PASS): void {
  coordinator.observed('a', a, coordinator.agreed.epoch);
  coordinator.observed('b', b, coordinator.agreed.epoch);
  coordinator.settle();
}

/** The view store; every sync waits for `pass` first, and fails if that does. */
export function guarded(viewStore: LocalViewStore, pass: () => Promise<void>): ViewStoreClient {
  return {
    sync: async (request) => {
      await pass();
      return viewStore.sync(request);
    },
    propose: (request) => viewStore.propose(request),
    commitPolicy: (request) => viewStore.commitPolicy(request),
    leave: (replica) => viewStore.leave(replica),
    events: (limit) => viewStore.events(limit),
    acts: (limit, skipped) => viewStore.acts(limit, skipped),
    record: (acts) => viewStore.record(acts),
    suspect: () => {},
    listen: (listener) => viewStore.listen(listener),
    close: () => viewStore.close(),
  };
}

export function target({ routingState }: PoolCoordinator): string {
  const { active, instances } = routingState.view;
  const binding = { instance: active, incarnation: instances.get(active)?.incarnation ?? '' };
  return checkTarget(routingState, binding, performance.now(), Date.now()) === 'forward' ? active : '';
}
