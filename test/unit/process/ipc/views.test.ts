import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RoutingStateSnapshot } from '../../../../src/core/view/routing-state-copy.ts';
import type { RoutingStateUpdate, ToController, ToWorker } from '../../../../src/process/ipc/messages.ts';
import { RemoteCoordinator } from '../../../../src/process/ipc/remote-coordinator.ts';
import { Workers } from '../../../../src/process/ipc/workers.ts';
import { aSnapshot } from '../../../support/snapshots.ts';

/** The messages between controller and worker about a view: until when it is valid, and when it is adopted. */

const LEASE_MS = 3_000;
const FAR_MS = 3_600_000;

let snapshot: RoutingStateSnapshot;
/** The views that were confirmed to the coordinator because no worker acts on another one. */
let confirmed: string[];
let told: ToWorker[];
let workers: Workers;

beforeEach(() => {
  vi.useFakeTimers();
  snapshot = ending(1_000);
  confirmed = [];
  told = [];
  workers = aController();
  direct(workers);
  workers.started('worker-1');
  says({ kind: 'hello', knowledge: new Map(), totals: undefined });
});

function aController(): Workers {
  return new Workers({
    send: (_, body) => void told.push(body as ToWorker),
    leaseMs: LEASE_MS,
    watchdogMs: 10_000,
    onMetrics: () => undefined,
    onGone: () => undefined,
    onHello: () => undefined,
  });
}

function direct(one: Workers): void {
  one.addPool('ici', {
    get snapshot() {
      return snapshot;
    },
    confirm: (viewId) => void confirmed.push(viewId),
    suspect: () => undefined,
    renew: async () => undefined,
    storeFailed: async () => undefined,
    counts: () => new Map(),
    knowledge: () => ({}) as RoutingStateUpdate['knowledge'],
  });
}

afterEach(() => {
  workers.close();
  vi.useRealTimers();
});

function says(message: ToController): void {
  workers.take('worker-1', message);
}

/** The view of an epoch with a lease that ends after this many milliseconds. */
function ending(monoMs: number, wallMs = monoMs, epoch = 1): RoutingStateSnapshot {
  const leaseEnd = { mono: performance.now() + monoMs, wall: Date.now() + wallMs };
  return aSnapshot({ leaseEnd }, 'ici', epoch);
}

function publish(next: RoutingStateSnapshot): void {
  snapshot = next;
  confirmed = [];
  workers.publish('ici');
}

describe('a new view', () => {
  beforeEach(() => {
    publish(ending(1_000));
    says({ kind: 'adopted', pool: 'ici', viewId: '1.x' });
    publish(ending(FAR_MS, FAR_MS, 2));
  });

  test('is adopted by the gateway when its worker has acknowledged it, and not before', () => {
    expect(confirmed).toEqual([]);
    says({ kind: 'adopted', pool: 'ici', viewId: '1.x' });
    expect(confirmed).toEqual([]);
    says({ kind: 'adopted', pool: 'ici', viewId: '2.x' });
    expect(confirmed).toEqual(['2.x']);
  });

  test('is adopted by the gateway when a silent worker can no longer act on the view before it', () => {
    vi.advanceTimersByTime(990);
    expect(confirmed).toEqual([]);
    vi.advanceTimersByTime(20);
    expect(confirmed).toEqual(['2.x']);
  });

  test('is adopted by the gateway when its worker has ended', () => {
    workers.gone('worker-1');
    expect(confirmed).toEqual(['2.x']);
  });
});

describe('the first view of a controller whose worker has an update from the previous one', () => {
  beforeEach(() => {
    workers.close();
    workers = aController();
    void workers.collectKnowledge(['worker-1'], FAR_MS);
    direct(workers);
    publish(ending(FAR_MS));
  });

  test('is adopted by the gateway when the lease of the earlier update must have ended', () => {
    vi.advanceTimersByTime(LEASE_MS - 10);
    expect(confirmed).toEqual([]);
    vi.advanceTimersByTime(20);
    expect(confirmed).toEqual(['1.x']);
  });

  test('is adopted by the gateway when the worker acknowledges it', () => {
    says({ kind: 'adopted', pool: 'ici', viewId: '1.x' });
    expect(confirmed).toEqual(['1.x']);
  });
});

describe('a routing state update', () => {
  /** What a worker may do this many milliseconds later by its monotonic clock, while its wall clock stands still. */
  function modeAfter(ms: number): string {
    const coordinator = new RemoteCoordinator({
      pools: [{ name: 'ici', mode: 'sticky', instances: new Set(['a', 'b']) }],
      onAdopted: () => undefined,
      onSuspect: () => undefined,
      controller: { renew: async () => undefined, storeFailed: async () => undefined },
    });
    coordinator.apply(told.at(-1) as RoutingStateUpdate);
    return coordinator.routingState('ici').modeAt(performance.now() + ms, Date.now());
  }

  test('is valid until the lease ends by the monotonic clock, whatever the wall clock says', () => {
    publish(ending(1_000, FAR_MS));
    expect([modeAfter(990), modeAfter(1_010)]).toEqual(['leased', 'waiting']);
  });

  test('is valid until the lease ends by the wall clock, whatever the monotonic clock says', () => {
    publish(ending(FAR_MS, 1_000));
    expect(modeAfter(0)).toBe('leased');
    vi.advanceTimersByTime(1_010);
    expect(modeAfter(0)).toBe('waiting');
  });

  test('is valid for one lease at most, even if the gateway’s own lease has no end', () => {
    publish(ending(Number.POSITIVE_INFINITY));
    expect([modeAfter(LEASE_MS - 10), modeAfter(LEASE_MS + 10)]).toEqual(['leased', 'waiting']);
  });

  test('is not valid for longer because it was delayed on its way', () => {
    publish(ending(1_000, FAR_MS));
    vi.advanceTimersByTime(1_010);
    expect(modeAfter(0)).toBe('waiting');
  });
});
