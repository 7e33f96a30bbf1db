import { beforeEach, describe, expect, test, vi } from 'vitest';
import { forgetAgent } from '../../../src/admin/forget-agent.ts';
import { moveAgent } from '../../../src/admin/move-agent.ts';
import { EFFECT_MS } from '../../../src/admin/pool-acts.ts';
import type { PoolBindings, PoolOperations, PoolSource } from '../../../src/admin/pool-source.ts';
import type { Binding } from '../../../src/core/binding.ts';
import { nameKey } from '../../../src/core/identity.ts';
import type { Policy } from '../../../src/core/view/policy.ts';
import type { Replica } from '../../../src/core/view/replica.ts';
import { DOWN } from '../../support/agreement.ts';
import { eventually } from '../../support/eventually.ts';
import type { Side } from '../proxy/target-finder-gateways.ts';
import { ALL_UP, agreement, begin, prefer, store } from '../proxy/target-finder-gateways.ts';

const ACT = { by: 'ops', why: 'echo' };
const MILLER = { kind: 'user', value: 'MILLER' } as const;
const AGENT = {
  name: MILLER,
  shown: 'user:MILLER',
  keyOf: (name: Binding['root']) => nameKey(name.kind, name.value),
};

/** The admin plane of the first gateway. */
class AdminPlane {
  readonly #replica: Replica;
  readonly #listeners = new Set<() => void>();
  /** How the policy gets to the other gateways: at once, unless the test does it. */
  spread = (): void => agreement.agree();

  constructor({ replica }: Side) {
    this.#replica = replica;
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** @param found what the store says when the operator asks for the agent */
  pool(found: Binding | undefined): PoolSource {
    const replica = this.#replica;
    const bindings: Pick<PoolBindings, 'find' | 'rebind' | 'release'> = {
      find: async () => found && { binding: found, expiresInMs: 1_000 },
      rebind: (_names, expected, proposal, token) => store.rebind(expected, proposal, token),
      release: (expected, token) => store.release(expected, token),
    };
    const operations: Omit<PoolOperations, 'parts' | 'isStoreAway' | 'leaseRemaining' | 'log'> = {
      routingState: replica,
      get lastSync() {
        return replica.lastSync;
      },
      get agreed() {
        return replica.agreed;
      },
      get isEffective() {
        return replica.isEffective;
      },
      get storeNow() {
        return replica.lastSync.clock;
      },
      commitPolicy: async (change) => this.#commit(change),
      onChange: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      renew: async () => agreement.sync(replica),
    };
    return {
      name: 'ici',
      mode: 'sticky',
      bindings: bindings as PoolBindings,
      operations: operations as PoolOperations,
    } as Partial<PoolSource> as PoolSource;
  }

  #commit(change: (policy: Policy) => Policy): Policy {
    const { policy } = this.#replica.lastSync;
    const next = { ...change(policy), version: policy.version + 1 };
    agreement.viewStore.commitPolicy({ base: policy.version, policy: next, events: [] }, 'generation', 0);
    agreement.sync(this.#replica);
    this.spread();
    return next;
  }
}

let one: Side;
let other: Side;
let admin: AdminPlane;
/** The act is written into the policy, and the operator's gateway has the view that follows. */
const begun = (): Promise<void> => eventually(() => expect(one.replica.agreed.moving).toHaveLength(1));
const held = (): Binding | undefined => store.bindings.get('uMILLER');

beforeEach(async () => {
  [one, other] = begin({ replicas: 2 }) as [Side, Side];
  admin = new AdminPlane(one);
  expect(await one.to('MILLER')).toBe('a');
  expect(await other.to('MILLER')).toBe('a');
  prefer('b');
});

describe('forgetting an agent', () => {
  test('ends the binding when every gateway refuses the agent, and not before', async () => {
    admin.spread = () => undefined;
    const forgetting = forgetAgent(admin.pool(held()), AGENT, ACT);
    await begun();
    // The first gateway holds the agent's requests. The other one does not know of it yet, and serves the agent.
    expect(await one.waitsFor('MILLER')).toBe('view');
    expect(await other.to('MILLER')).toBe('a');
    expect(held()?.instance).toBe('a');

    admin.spread = () => agreement.agree();
    agreement.agree();
    expect(await other.waitsFor('MILLER')).toBe('view');
    admin.tell();
    expect(await forgetting).toMatchObject({ instance: 'a' });
    expect(await other.to('MILLER')).toBe('b');
    expect(await one.to('MILLER')).toBe('b');
  });

  test('makes what gateways knew outdated, even without any message of the store', async () => {
    await forgetAgent(admin.pool(held()), AGENT, ACT);
    expect(held()).toBeUndefined();
    expect(await other.to('MILLER')).toBe('b');
    expect(await one.to('MILLER')).toBe('b');
  });

  test('holds requests of the agent while it is under way, and those of no other agent', async () => {
    const [third] = begin({ replicas: 1 }) as [Side];
    const plane = new AdminPlane(third);
    await third.to('MILLER');
    await third.to('OTHER');
    store.meanwhile = [];
    const waits: string[] = [];
    const pool = plane.pool(held());
    const { release } = pool.bindings;
    await forgetAgent(
      {
        ...pool,
        bindings: {
          ...pool.bindings,
          release: async (expected, token) => {
            const holds = await release(expected, token);
            const { length } = store.asked;
            waits.push(await third.waitsFor('MILLER'));
            // It asks the store nothing, and other agents go on.
            expect(store.asked.length).toBe(length);
            expect(await third.to('OTHER')).toBe('a');
            return holds;
          },
        },
      },
      AGENT,
      ACT,
    );
    expect(waits).toEqual(['view']);
    prefer('c');
    expect(await third.to('MILLER')).toBe('c');
  });

  test('is withdrawn if a gateway does not acknowledge it in time', async () => {
    const silent = admin.pool(held());
    admin.spread = () => undefined;
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const forgetting = expect(forgetAgent(silent, AGENT, ACT)).rejects.toThrow(
      'not every gateway has acknowledged the end of the binding of user:MILLER in time',
    );
    await vi.advanceTimersByTimeAsync(EFFECT_MS);
    await forgetting;
    vi.useRealTimers();
    agreement.agree();
    expect(one.replica.agreed.moving).toEqual([]);
    expect(held()?.instance).toBe('a');
    expect(await one.to('MILLER')).toBe('a');
  });

  test('of two operators at once is refused to the second', async () => {
    admin.spread = () => undefined;
    const first = forgetAgent(admin.pool(held()), AGENT, ACT);
    await begun();
    await expect(forgetAgent(admin.pool(held()), AGENT, ACT)).rejects.toThrow(
      'user:MILLER is already being forgotten; try again in a minute',
    );
    agreement.agree();
    admin.tell();
    await first;
    expect(held()).toBeUndefined();
  });
});

// The operator's gateway finds the agent at one instance, and another gateway moves the agent before the act counts.
describe.each([
  ['forgotten', (pool: PoolSource) => forgetAgent(pool, AGENT, ACT)],
  ['moved', (pool: PoolSource) => moveAgent(pool, AGENT, 'b', ACT)],
] as const)('an agent who was rebound just before being %s', (_how, act) => {
  test('is served by no gateway at the instance in between', async () => {
    const found = held();
    agreement.agreeOn({ ...ALL_UP, a: DOWN });
    prefer('c');
    expect(await other.to('MILLER')).toBe('c');
    agreement.agreeOn(ALL_UP);
    expect(await other.to('MILLER')).toBe('c');

    prefer('b');
    await act(admin.pool(found));

    expect(await one.to('MILLER')).toBe('b');
    // It got no message, and still has the binding to `c` in its cache.
    expect(await other.to('MILLER')).toBe('b');
  });
});
