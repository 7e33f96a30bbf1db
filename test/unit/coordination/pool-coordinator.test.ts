import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PoolCoordinatorOptions } from '../../../src/coordination/coordinator-options.ts';
import { LocalViewStore } from '../../../src/coordination/local-view-store.ts';
import { PoolCoordinator } from '../../../src/coordination/pool-coordinator.ts';
import type { Observation } from '../../../src/core/health.ts';
import type { ViewStoreClient } from '../../../src/core/ports.ts';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import { checkTarget } from '../../../src/core/target.ts';
import type { Knowledge } from '../../../src/core/view/replica-options.ts';
import { eventually } from '../../support/eventually.ts';

const PASS: Observation = { passed: true, incarnation: '1' };
const FAIL: Observation = { passed: false, incarnation: '' };

let directory: string;
const open: PoolCoordinator[] = [];
const told: string[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-coordination-'));
  told.length = 0;
});

afterEach(async () => {
  for (const coordinator of open.splice(0)) await coordinator.close();
  rmSync(directory, { recursive: true, force: true });
});

function aCoordinator(
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
      rules: {
        mode: 'failover',
        quorum: 'majority',
        quarantines: false,
        countsLives: false,
        instances: ['a', 'b'].map((name, i) => ({ id: name, priority: i + 1, admin: 'enabled' as const })),
      },
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
      ...(knew === undefined ? {} : { knew }),
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
      onView: (before, after) => told.push(`${id}: ${before.active} to ${after.active}`),
      onStoreState: (state) => told.push(`${id}: store ${state}`),
      onCutOff: () => {},
      onAbstention: (abstains) => told.push(`${id}: abstains ${abstains}`),
      onNotRestored: (error) => told.push(`${id}: ${(error as Error).message}`),
      onProbeFailed: (instance, reason, isDownNow) =>
        told.push(`${id}: ${instance} ${isDownNow ? 'down' : 'doubted'}, ${reason}`),
      onOperation: () => {},
    },
    ...options,
  });
  open.push(coordinator);
  return coordinator;
}

function observeBoth(coordinator: PoolCoordinator, a: Observation, b: Observation = PASS): void {
  coordinator.observed('a', a, coordinator.agreed.epoch);
  coordinator.observed('b', b, coordinator.agreed.epoch);
  coordinator.settle();
}

/** The ledger, which is asked for its present state only after `pass` was, and did not throw. */
function guarded(viewStore: LocalViewStore, pass: () => Promise<void>): ViewStoreClient {
  return {
    sync: async (request) => {
      await pass();
      return viewStore.sync(request);
    },
    propose: (request) => viewStore.propose(request),
    commitPolicy: (request) => viewStore.commitPolicy(request),
    leave: (replica) => viewStore.leave(replica),
    events: (limit) => viewStore.events(limit),
    suspect: () => {},
    listen: (listener) => viewStore.listen(listener),
    close: () => viewStore.close(),
  };
}

function target({ routingState }: PoolCoordinator): string {
  const { active, instances } = routingState.view;
  const binding = { instance: active, incarnation: instances.get(active)?.incarnation ?? '' };
  return checkTarget(routingState, binding, performance.now(), Date.now()) === 'forward' ? active : '';
}

describe('a gateway that is alone', () => {
  const alone = (): LocalViewStore =>
    new LocalViewStore({ leaseMs: 0, joinMs: 0, file: join(directory, 'agreement-ici.json') });

  test('acts on what it sees at once, and fails over by itself', async () => {
    const coordinator = aCoordinator('g1', alone());
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();
    expect(target(coordinator)).toBe('a');
    coordinator.observed('a', FAIL, 1);
    await coordinator.renew();
    expect(target(coordinator)).toBe('b');
  });

  test('counts the probes of a new process from what the one before it knew', async () => {
    const thresholds = { rise: 2, fall: 3 };
    const before = aCoordinator('g1', alone(), { thresholds });
    await before.start();
    observeBoth(before, PASS, FAIL);
    await before.settled();
    const { agreed, lastSync, routingState } = before;
    const { policy } = lastSync;
    const after = aCoordinator('g1', alone(), { thresholds, knew: { agreed, policy } });
    await after.start();
    observeBoth(after, FAIL, PASS);
    await after.settled();
    expect(after.routingState.view).toStrictEqual(routingState.view);
    observeBoth(after, FAIL, PASS);
    await after.renew();
    expect(after.routingState.view.instances.get('b')?.health).toBe('up');
    expect(target(after)).toBe('a');
    observeBoth(after, FAIL, PASS);
    await after.renew();
    expect(target(after)).toBe('b');
  });

  test('tells why a probe that is the first to fail did, and the one that turns the instance down', async () => {
    const coordinator = aCoordinator('g1', alone(), { thresholds: { rise: 1, fall: 3 } });
    await coordinator.start();
    observeBoth(coordinator, PASS, { ...FAIL, reason: 'never seen up' });
    for (const reason of ['1st', '2nd', '3rd', '4th']) {
      coordinator.observed('a', { ...FAIL, reason }, 1);
    }
    expect(told.filter((line) => /doubted|down/.test(line))).toEqual([
      'g1: b down, never seen up',
      'g1: a doubted, 1st',
      'g1: a down, 3rd',
    ]);
  });

  test('remembers over a restart who was active, and what an operator decided', async () => {
    const before = aCoordinator('g1', alone());
    await before.start();
    observeBoth(before, FAIL);
    await before.settled();
    await before.commitPolicy((policy) => ({ ...policy, failbackBy: 'operator' }), []);
    await before.close();

    const after = aCoordinator('g2', alone());
    await after.start();
    observeBoth(after, PASS);
    await after.settled();
    expect([target(after), after.lastSync.policy.failbackBy]).toEqual(['b', 'operator']);
    await eventually(() => expect(after.routingState.view.instances.get('a')?.health).toBe('up'));
    expect(after.agreed.epoch).toBeGreaterThan(before.agreed.epoch);
  });

  test('writes what it could not write as soon as it can, and fails over meanwhile; an act that it refused is not done', async () => {
    const file = join(directory, 'agreement-ici.json');
    const coordinator = aCoordinator('g1', alone(), { leaseMs: 300 });
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();
    mkdirSync(`${file}.new`);
    const act = coordinator.commitPolicy((policy) => ({ ...policy, failbackBy: 'operator' }), []);
    await expect(act).rejects.toThrow(StoreUnavailable);
    coordinator.observed('a', FAIL, coordinator.agreed.epoch);
    await eventually(() => expect(target(coordinator)).toBe('b'));
    const written = (): unknown => JSON.parse(readFileSync(file, 'utf8'));
    expect(written()).toMatchObject({ view: { active: 'a' }, policy: { failbackBy: 'configuration' } });
    rmdirSync(`${file}.new`);
    await eventually(() =>
      expect(written()).toMatchObject({ view: { active: 'b' }, policy: { failbackBy: 'configuration' } }),
    );
    expect(coordinator.isStoreAway).toBe(false);
    expect(target(coordinator)).toBe('b');
  });

  test('says which file is damaged, rather than to start as if nothing had been decided', () => {
    const file = join(directory, 'agreement-ici.json');
    writeFileSync(file, readFileSync(import.meta.filename).subarray(0, 40));
    expect(() => alone()).toThrow(`${file} is damaged: remove it`);
    for (const other of ['{}', 'null', '[]', '"x"', '{"view":null}', '{"view":{"epoch":1,"instances":{}}}']) {
      writeFileSync(file, other);
      expect(() => alone(), other).toThrow(`${file} is damaged: remove it`);
    }
  });
});

describe('several gateways on one ledger', () => {
  test('agree, and keep an instance that only one of them has lost', async () => {
    const viewStore = new LocalViewStore({ leaseMs: 300, joinMs: 100 });
    const all = ['g1', 'g2', 'g3'].map((id) => aCoordinator(id, viewStore, { leaseMs: 300 }));
    for (const coordinator of all) {
      await coordinator.start();
      observeBoth(coordinator, PASS);
    }
    await Promise.all(all.map((coordinator) => coordinator.settled()));
    await eventually(() => expect(all.map(target)).toEqual(['a', 'a', 'a']));

    all[0]?.observed('a', FAIL, 1);
    await eventually(() =>
      expect(
        all[1]?.lastSync.reports.filter(({ report }) => report?.verdicts['a']?.health === 'down'),
      ).toHaveLength(1),
    );
    expect(all.map(({ agreed }) => agreed.active)).toEqual(['a', 'a', 'a']);

    all[1]?.observed('a', FAIL, 1);
    await eventually(() => expect(all.map(target)).toEqual(['b', 'b', 'b']));
  });

  test('do not count who cannot trust its clock', async () => {
    const viewStore = new LocalViewStore({ leaseMs: 300, joinMs: 100 });
    const [g1, g2] = ['g1', 'g2'].map((id) => aCoordinator(id, viewStore, { leaseMs: 300 })) as [
      PoolCoordinator,
      PoolCoordinator,
    ];
    for (const coordinator of [g1, g2]) {
      await coordinator.start();
      observeBoth(coordinator, PASS);
    }
    await Promise.all([g1.settled(), g2.settled()]);
    g2.trustClock(false, 'the event loop stood still');
    g2.observed('a', FAIL, 1);
    g1.observed('a', FAIL, 1);
    await eventually(() =>
      expect(g1.lastSync.reports.find(({ replica }) => replica === 'g2')?.report).toBeUndefined(),
    );
    expect(g1.agreed.active).toBe('a');
    g2.trustClock(true, 'calm again');
    await eventually(() => expect([target(g1), target(g2)]).toEqual(['b', 'b']));
  });
});

test('a lease counts from when it was asked for, however late the answer comes', async () => {
  const LEASE_MS = 600;
  const LATE_MS = 100;
  let askedAt = 0;
  const viewStore = guarded(new LocalViewStore({ leaseMs: LEASE_MS, joinMs: 0 }), async () => {
    askedAt = performance.now();
    while (performance.now() < askedAt + LATE_MS)
      await new Promise<void>((resolve) => setTimeout(resolve, LATE_MS));
  });
  /** How much longer than that each lease was. */
  const granted: number[] = [];
  const coordinator: PoolCoordinator = aCoordinator('g1', viewStore, {
    leaseMs: LEASE_MS,
    publisher: {
      publish: () => {
        const { leaseRemaining } = coordinator;
        if (leaseRemaining > 0) granted.push(performance.now() + leaseRemaining - askedAt - LEASE_MS);
      },
      mayActUntil: () => Number.NEGATIVE_INFINITY,
    },
  });
  await coordinator.start();
  await eventually(() => expect(granted.length).toBeGreaterThan(2));
  expect(Math.max(...granted)).toBeLessThan(0);
});

/** The ledger, whose answers take so long. */
function slow(viewStore: LocalViewStore, answersAfterMs: () => number): ViewStoreClient {
  return {
    ...guarded(viewStore, async () => {}),
    sync: async (request) => {
      const reply = await viewStore.sync(request);
      await new Promise((resolve) => setTimeout(resolve, answersAfterMs()));
      return reply;
    },
  };
}

describe('a ledger whose answers are slow', () => {
  const LEASE_MS = 900;

  test('is in doubt, and gives leases all the same, for as long as they come within a third of one', async () => {
    const viewStore = slow(new LocalViewStore({ leaseMs: LEASE_MS, joinMs: 50 }), () => 120);
    const coordinator = aCoordinator('g1', viewStore, { leaseMs: LEASE_MS });
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();
    coordinator.observed('a', FAIL, coordinator.agreed.epoch);
    await eventually(() => expect(target(coordinator)).toBe('b'));
    expect(told.filter((line) => line.includes('store'))).toEqual([]);
  });

  test('teaches a gateway for which they come too late, gives it no lease, and keeps no request waiting', async () => {
    const viewStore = new LocalViewStore({ leaseMs: LEASE_MS, joinMs: 50 });
    let delayMs = 0;
    const g1 = aCoordinator('g1', viewStore, { leaseMs: LEASE_MS });
    const g2 = aCoordinator(
      'g2',
      slow(viewStore, () => delayMs),
      { leaseMs: LEASE_MS },
    );
    for (const coordinator of [g1, g2]) {
      await coordinator.start();
      observeBoth(coordinator, PASS);
    }
    await Promise.all([g1.settled(), g2.settled()]);

    delayMs = LEASE_MS / 2;
    const act = { id: 'x', state: 'disabled', by: 'operator', at: 0, why: '', deadline: 0 } as const;
    await g1.commitPolicy((policy) => ({ ...policy, instances: { a: act } }), []);

    await eventually(() => expect(target(g1)).toBe('b'));
    await eventually(() => expect(g2.agreed.active).toBe('b'));
    expect(g1.lastSync.replicas).toBe(2);
    await eventually(() => expect(g2.leaseRemaining).toBe(0));
    delayMs = 0;
    await eventually(() => expect(g2.leaseRemaining).toBeGreaterThan(0));
    expect(target(g2)).toBe('b');
  });
});

describe('a ledger that fails', () => {
  test.each([
    ['at once', (confirm: () => unknown) => void confirm()],
    ['by a message', (confirm: () => unknown) => void setImmediate(confirm)],
  ])(
    'is left some time before it is asked again, also with news for it that others confirm %s',
    async (_, send) => {
      const viewStore = new LocalViewStore({ leaseMs: 200, joinMs: 60 });
      let isAway = false;
      let asked = 0;
      const failing = guarded(viewStore, async () => {
        if (!isAway) return;
        asked += 1;
        // Lets a test that fails end: whoever asks without a pause keeps its own process from all else.
        if (asked > 1_000) await new Promise(setImmediate);
        throw new StoreUnavailable('away');
      });
      let hasAdopted = true;
      const coordinator: PoolCoordinator = aCoordinator('g1', failing, {
        leaseMs: 200,
        awaitsConfirmation: true,
        // As the workers do it who have adopted what they were told.
        publisher: {
          publish: () => send(() => hasAdopted && coordinator.confirm(coordinator.agreed.id)),
          mayActUntil: () => Number.NEGATIVE_INFINITY,
        },
      });
      await coordinator.start();
      observeBoth(coordinator, PASS);
      await coordinator.settled();

      hasAdopted = false;
      coordinator.observed('a', FAIL, coordinator.agreed.epoch);
      await eventually(() => expect(coordinator.agreed.active).toBe('b'));
      isAway = true;
      hasAdopted = true;
      await eventually(() => expect(told).toContain('g1: store away'));
      expect(asked).toBeLessThan(20);
      isAway = false;
      await eventually(() => expect(target(coordinator)).toBe('b'));
    },
  );

  test('is asked again by whom something else kept from writing back', async () => {
    let failures = 0;
    const coordinator = aCoordinator('g1', new LocalViewStore({ leaseMs: 200, joinMs: 60 }), {
      leaseMs: 200,
      writeBack: async () => {
        failures += 1;
        if (failures < 3) throw new Error(`failure ${failures}`);
      },
    });
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();
    await eventually(() => expect(coordinator.routingState.fencingToken).not.toBe(''));
    expect(told.filter((line) => line.includes('failure'))).toEqual(['g1: failure 1', 'g1: failure 2']);
  });

  test('is away after a while; when it is back, bindings are written back before anything else', async () => {
    const viewStore = new LocalViewStore({ leaseMs: 200, joinMs: 60 });
    let isAway = false;
    const order: string[] = [];
    const failing = guarded(viewStore, async () => {
      if (isAway) throw new StoreUnavailable('away');
    });
    const coordinator = aCoordinator('g1', failing, {
      leaseMs: 200,
      writeBack: async () => void order.push('written back'),
    });
    coordinator.onChange(() => {
      if (coordinator.routingState.fencingToken !== '' && order.at(-1) !== 'fence') order.push('fence');
    });
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();
    expect(order).toEqual(['written back', 'fence']);

    isAway = true;
    await eventually(() => expect(told).toContain('g1: store away'));
    await eventually(() =>
      expect(coordinator.routingState.modeAt(performance.now(), Date.now())).toBe('degraded'),
    );
    expect(target(coordinator)).toBe('a');
    isAway = false;
    await eventually(() => expect(told).toContain('g1: store available'));

    await eventually(() => expect(coordinator.routingState.fencingToken).not.toBe(''));
    expect(order).toEqual(['written back', 'fence', 'written back', 'fence']);
  });
});
