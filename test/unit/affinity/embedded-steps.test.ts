import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TRANSACTION_AT } from '../../../src/affinity/embedded/file.ts';
import type { Embedded } from '../../../src/affinity/embedded/store.ts';
import { openEmbedded } from '../../../src/affinity/embedded/store.ts';
import { EmbeddedTables } from '../../../src/affinity/embedded/tables.ts';
import type { AffinityStore } from '../../../src/core/ports.ts';
import { StaleView, StoreUnavailable } from '../../../src/core/ports.ts';
import { EmbeddedStoreServer } from '../../../src/process/ipc/embedded-store-server.ts';
import { evidenceContract } from '../../contract/affinity-evidence.ts';
import { affinityLimitsContract } from '../../contract/affinity-limits.ts';
import { affinityStoreContract } from '../../contract/affinity-store.ts';
import type { OpenStore } from '../../contract/affinity-store-support.ts';
import { at, session, user } from '../../contract/affinity-store-support.ts';
import { claimingTogether } from '../../support/claiming-together.ts';

const FENCING_TOKEN = '1.view:local';
const HOUR_MS = 3_600_000;
const PAGE_BYTES = 4_096;

async function openStore(idleLifetimeMs: number, maxBindings = 1_000_000): Promise<OpenStore> {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-lmdb-'));
  const embedded = openEmbedded({ directory });
  return {
    store: claimingTogether(embedded, embedded.store('crm', { idleLifetimeMs, maxBindings })),
    fencingToken: FENCING_TOKEN,
    close: async () => {
      await embedded.close();
      rmSync(directory, { recursive: true });
    },
  };
}

affinityStoreContract('the embedded store that writes the claims of a turn together', openStore);
evidenceContract('the embedded store that writes the claims of a turn together', openStore);
affinityLimitsContract('the embedded store that writes the claims of a turn together', (maxBindings) =>
  openStore(HOUR_MS, maxBindings),
);

describe('the claims of one turn at the embedded store', () => {
  let directory: string;
  let embedded: Embedded;
  let store: AffinityStore;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ici-gateway-lmdb-'));
    embedded = openEmbedded({ directory });
    store = embedded.store('crm', { idleLifetimeMs: HOUR_MS });
    await claim('first');
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await embedded.close();
    rmSync(directory, { recursive: true });
  });

  const claim = (name: string) => store.claim([user(name), session(name)], at('a'), FENCING_TOKEN);
  const together = (name: string) => embedded.together(() => claim(name));

  /** The number of the last committed transaction, as the file has it. */
  function committed(): number {
    const file = readFileSync(join(directory, 'data.mdb'));
    const numbers = [0, PAGE_BYTES].map((page) => Number(file.readBigUInt64LE(page + TRANSACTION_AT)));
    return Math.max(...numbers);
  }

  test('are one transaction, and each is answered when that is committed', async () => {
    const before = committed();
    const seen: number[] = [];
    const names = ['a', 'b', 'c', 'd', 'e'];

    const claims = await Promise.all(
      names.map((name) =>
        together(name).then((answer) => {
          seen.push(committed() - before);
          return answer;
        }),
      ),
    );

    expect(claims.map(({ binding, made }) => [binding.root.value, made])).toEqual(
      names.map((name) => [name, true]),
    );
    expect(seen).toEqual([1, 1, 1, 1, 1]);
    expect(await store.counts()).toEqual(new Map([['a', 6]]));
  });

  test('are one transaction also if they are the first of a process', async () => {
    await embedded.close();
    embedded = openEmbedded({ directory });
    store = embedded.store('crm', { idleLifetimeMs: HOUR_MS });
    const before = committed();

    await Promise.all(['a', 'b', 'c', 'd', 'e'].map(together));

    expect(committed() - before).toBe(1);
  });

  test('find what others of the turn have bound', async () => {
    const other = () => store.claim([user('a')], at('b'), FENCING_TOKEN);

    const [first, second] = await Promise.all([together('a'), embedded.together(other)]);

    expect([first.made, second.made]).toEqual([true, false]);
    expect(second.binding).toEqual(first.binding);
  });

  test('are written in parts if they are many', async () => {
    const before = committed();
    const names = Array.from({ length: 20 }, (_, i) => `n${i}`);

    await Promise.all(names.map(together));

    expect(committed() - before).toBe(3);
    expect(await store.counts()).toEqual(new Map([['a', 21]]));
  });

  test('are each carried out alone if one fails, and nothing of that one is stored', async () => {
    const { writePointer } = EmbeddedTables.prototype;
    vi.spyOn(EmbeddedTables.prototype, 'writePointer').mockImplementation(function (
      this: EmbeddedTables,
      ...args
    ) {
      // After the root has been written.
      if (args[2].root === 'uBAD') throw new Error('no more');
      writePointer.apply(this, args);
    });

    const [a, bad, b] = await Promise.allSettled(['a', 'BAD', 'b'].map(together));

    expect([a?.status, b?.status]).toEqual(['fulfilled', 'fulfilled']);
    expect(bad).toMatchObject({ reason: expect.any(StoreUnavailable) });
    expect(await store.find([user('BAD')])).toBeUndefined();
    expect((await store.find([session('b')]))?.binding.root).toEqual(user('b'));
    expect(await store.counts()).toEqual(new Map([['a', 3]]));
  });

  test('number the texts that they are the first to use, also after a turn that was given up', async () => {
    const { writePointer } = EmbeddedTables.prototype;
    const spy = vi.spyOn(EmbeddedTables.prototype, 'writePointer').mockImplementationOnce(() => {
      throw new Error('no more');
    });
    const at2 = (instance: string, name: string) => () =>
      store.claim([user(name), session(name)], at(instance), FENCING_TOKEN);
    await Promise.allSettled([embedded.together(at2('x', 'a')), embedded.together(at2('y', 'b'))]);
    spy.mockImplementation(writePointer);

    await embedded.together(at2('z', 'c'));
    await embedded.close();

    embedded = openEmbedded({ directory });
    store = embedded.store('crm', { idleLifetimeMs: HOUR_MS });
    expect((await store.find([user('b')]))?.binding.instance).toBe('y');
    expect((await store.find([user('c')]))?.binding.instance).toBe('z');
  });

  test('are refused if the view changes before they begin', async () => {
    let fencingToken = FENCING_TOKEN;
    const served = { store, fencingToken: () => fencingToken, epoch: () => 1, together: embedded.together };
    const told: unknown[] = [];
    const server = new EmbeddedStoreServer(new Map([['crm', served]]), (_, news) => void told.push(news));
    const asked = ['a', 'b'].map((name) =>
      server.storeClaim('crm', [user(name)], at('a'), FENCING_TOKEN).catch((error: unknown) => error),
    );

    fencingToken = '2.view:local';

    for (const answer of await Promise.all(asked)) expect(answer).toBeInstanceOf(StaleView);
    expect(await store.find([user('a'), user('b')])).toBeUndefined();
    expect(told).toEqual([]);
  });

  test('are refused once the store is closed', async () => {
    const asked = ['a', 'b'].map(together);
    const answers = Promise.allSettled(asked);

    await embedded.close();

    for (const answer of await answers)
      expect(answer).toMatchObject({ reason: expect.any(StoreUnavailable) });
  });
});
