import { afterEach, beforeEach } from 'vitest';
import type { ViewStoreClient } from '../../src/core/ports.ts';
import type { AgreedView, PoolEvent } from '../../src/core/view/agreed-view.ts';
import type { HealthReport } from '../../src/core/view/health-report.ts';
import type { Policy } from '../../src/core/view/policy.ts';
import { NO_POLICY } from '../../src/core/view/policy.ts';
import { nextSeq, request } from '../support/view-store-requests.ts';

/** An empty view store, and connections to it. */
export interface OpenViewStore {
  /** A client for another replica. */
  connect(): ViewStoreClient;
  /** Sets the view store's clock on, or back where negative. */
  passTime(ms: number): Promise<void>;
  /** Begins another store generation with all that the store holds. Missing where it has only one. */
  beginGeneration?(): Promise<void>;
  close(): Promise<void>;
}

export interface ViewStoreTimes {
  readonly leaseMs: number;
  readonly joinMs: number;
}

export type OpenViewStoreWith = (times: ViewStoreTimes) => Promise<OpenViewStore>;

// Longer than any test, so that time passes only where a test lets it.
export const TIMES: ViewStoreTimes = { leaseMs: 60_000, joinMs: 20_000 };

/**
 * Lets the time of a lease pass, in which these replicas sync as often as live
 * ones, and write their bindings back. Then an empty view store is open. Returns
 * the store generation.
 */
export async function letOpen(
  viewStore: Pick<OpenViewStore, 'passTime'>,
  { leaseMs }: ViewStoreTimes,
  replicas: readonly (readonly [ViewStoreClient, string])[],
): Promise<string> {
  let restored = '';
  const sync = async (): Promise<void> => {
    for (const [client, replica] of replicas)
      restored = (await client.sync(request(replica, { restored }))).storeGeneration;
  };
  // Twice: the first answer tells the generation to which they write back.
  await sync();
  for (let third = 0; third < 3; third += 1) {
    await viewStore.passTime(leaseMs / 3);
    await sync();
  }
  return restored;
}

/** Numbers requests as they are sent, so that a test may send one twice. */
function numbered(client: ViewStoreClient): ViewStoreClient {
  return {
    sync: (sent) => client.sync({ ...sent, seq: nextSeq() }),
    propose: (proposal) => client.propose(proposal),
    commitPolicy: (change) => client.commitPolicy(change),
    leave: (replica) => client.leave(replica),
    events: (limit) => client.events(limit),
    acts: (limit, skipped) => client.acts(limit, skipped),
    record: (acts) => client.record(acts),
    suspect: (instance) => client.suspect(instance),
    listen: (listener) => client.listen(listener),
    close: () => client.close(),
  };
}

/** Opens an empty view store with two clients before each test, and closes it afterwards. Call it inside a `describe`. */
export function opensViewStore(
  open: OpenViewStoreWith,
  use: (viewStore: OpenViewStore, one: ViewStoreClient, two: ViewStoreClient) => void,
): void {
  let close: () => Promise<void>;
  beforeEach(async () => {
    const viewStore = await open(TIMES);
    const [one, two] = [numbered(viewStore.connect()), numbered(viewStore.connect())];
    use(viewStore, one, two);
    close = async () => {
      for (const client of [one, two]) await client.close();
      await viewStore.close();
    };
  });
  afterEach(() => close());
}

/** A view that has every field, and lists that are empty. */
export function viewOf(epoch: number, unique: string): AgreedView {
  const b = { health: 'down', admin: 'draining', act: 'x', incarnation: '2', past: ['1'] } as const;
  const a = { health: 'up', admin: 'enabled', act: '', incarnation: '', past: [] } as const;
  return {
    epoch,
    id: `${epoch}.${unique}`,
    settled: true,
    instances: {
      a: { ...a, lives: 0, quarantinedAt: 0, lostAt: 0 },
      b: { ...b, lives: 2, quarantinedAt: 1, lostAt: epoch },
    },
    active: 'a',
    activeSince: 1_790_000_000_123,
    activated: '',
    moving: epoch % 2 === 0 ? [] : [{ key: 'u:Müller "x"|{}', from: 'a', to: 'b', until: 1 }],
  };
}

export const REPORT: HealthReport = {
  verdicts: { a: { health: 'up', incarnation: 'λ', emptyAt: 0 } },
  settled: true,
  idle: false,
};

export function eventOf(why: string): PoolEvent {
  return { kind: 'down', instance: 'b', from: 'up', to: 'down', by: 'r1', why };
}

export function policyOf(version: number): Policy {
  return { ...NO_POLICY, version, failback: { kind: 'immediate' }, failbackBy: 'operator' };
}
