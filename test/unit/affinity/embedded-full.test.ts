import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UsedBytes } from '../../../src/affinity/embedded/file.ts';
import { STEP_BYTES } from '../../../src/affinity/embedded/room.ts';
import type { Embedded } from '../../../src/affinity/embedded/store.ts';
import { openEmbedded } from '../../../src/affinity/embedded/store.ts';
import type { AffinityStore } from '../../../src/core/ports.ts';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import { at, session, user } from '../../contract/affinity-store-support.ts';
import { eventually } from '../../support/eventually.ts';
import type { SmallDisk } from '../../support/small-disk.ts';
import { makeSmallDisk } from '../../support/small-disk.ts';

const FENCING_TOKEN = '1.view:local';
const HOUR_MS = 3_600_000;
const KIB = 1_024;

let disk: SmallDisk;
let directory: string;
const open: Embedded[] = [];

beforeEach(async (context: TestContext) => {
  const made = await makeSmallDisk(1_024 * KIB);
  if (typeof made === 'string') return context.skip(made);
  disk = made;
  directory = join(disk.path, 'state');
});

afterEach(async () => {
  for (const embedded of open.splice(0)) await embedded.close();
  await disk?.close();
});

function openIt(mayBeAway = false): Embedded {
  const embedded = openEmbedded({ directory, mayBeAway });
  open.push(embedded);
  return embedded;
}

const storeOf = (embedded: Embedded): AffinityStore => embedded.store('crm', { idleLifetimeMs: HOUR_MS });
const claim = (store: AffinityStore, i: number) =>
  store.claim([user(`U${i}`), session(`s${i}`)], at(i % 2 === 0 ? 'a' : 'b'), FENCING_TOKEN);

/** Claims until one fails; returns how many did not. */
async function claimUntilFull(store: AffinityStore, from: number): Promise<number> {
  for (let i = from; ; i += 1) {
    const failure = await claim(store, i).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failure === undefined) continue;
    expect(failure).toBeInstanceOf(StoreUnavailable);
    expect((failure as Error).message).toMatch(
      /state cannot be written \(ENOSPC.*make room on its file system/,
    );
    return i;
  }
}

describe('the embedded store on a full disk', () => {
  test('refuses bindings without room, keeps those it has, and goes on when there is room', async () => {
    disk.fill(480 * KIB);
    const embedded = openIt();
    const store = storeOf(embedded);
    await claim(store, 0);
    disk.fill();
    const bound = await claimUntilFull(store, 1);
    // Bindings from before the disk was full.
    expect(bound).toBeGreaterThan(20);
    expect(() => embedded.requireRoom()).toThrow(StoreUnavailable);
    disk.makeRoom();
    embedded.requireRoom();
    for (let i = 0; i < bound + 200; i += 1) {
      const { binding, made } = await claim(store, i);
      expect([binding.instance, made]).toEqual([i % 2 === 0 ? 'a' : 'b', i >= bound]);
    }
    await embedded.close();
    const again = storeOf(openIt());
    expect([...(await again.counts()).values()].reduce((sum, count) => sum + count)).toBe(bound + 200);
  });

  test('no step writes more than there is room for', async () => {
    // On a disk with room, so that every step succeeds.
    directory = mkdtempSync(join(tmpdir(), 'ici-gateway-lmdb-'));
    const store = storeOf(openIt());
    await claim(store, 0);
    const file = openSync(join(directory, 'data.mdb'), 'r');
    const used = new UsedBytes(file);
    let before = used.read();
    let most = 0;
    const look = (): void => {
      most = Math.max(most, used.read() - before);
      before = used.read();
    };
    try {
      for (let i = 0; i < 1_000; i += 1) {
        await claim(store, i);
        look();
      }
      // A step with so many names that each may change another page.
      const aliases = Array.from({ length: 200 }, (_, i) => session(`x${i}`));
      const entry = { binding: { root: user('U1'), ...at('b'), generation: 1 }, aliases, epoch: 1 };
      expect(await store.restore([entry, entry])).toHaveLength(2);
      look();
    } finally {
      closeSync(file);
      rmSync(directory, { recursive: true });
    }
    expect(most).toBeLessThanOrEqual(STEP_BYTES / 2);
  });

  test('a start without room names the directory and the remedy, and leaves nothing behind', async () => {
    disk.fill();
    expect(() => openIt()).toThrow(
      /^the affinity store in .*state cannot be written \(ENOSPC.*\): make room on its file system, or name another directory with --state-dir/,
    );
    expect(existsSync(directory) ? readdirSync(directory) : []).toEqual([]);
    disk.makeRoom();
    await claim(storeOf(openIt()), 0);
  });

  test('a start with existing bindings fails as well, and finds them when there is room', async () => {
    const first = openIt();
    await claim(storeOf(first), 1);
    await first.close();
    // As an earlier release leaves it, without reserved room.
    const file = join(directory, 'data.mdb');
    const used = statSync(file).size;
    disk.fill();
    truncateSync(file, 20 * 4_096);
    disk.fill();
    expect(used).toBeGreaterThan(20 * 4_096);
    expect(() => openIt()).toThrow('ENOSPC');
    expect(readdirSync(directory).filter((name) => name.startsWith('owner'))).toEqual([]);
    disk.makeRoom();
    expect((await claim(storeOf(openIt()), 1)).made).toBe(false);
  });

  test('if other processes know the agents, the store is away until there is room', async () => {
    disk.fill();
    const embedded = openIt(true);
    const store = storeOf(embedded);
    await expect(claim(store, 0)).rejects.toBeInstanceOf(StoreUnavailable);
    expect(() => embedded.requireRoom()).toThrow(/ENOSPC/);
    disk.makeRoom();
    await eventually(() => embedded.requireRoom());
    expect((await claim(store, 0)).made).toBe(true);
  });
});

describe('the embedded store on a file system that has become read-only', () => {
  test('refuses bindings, and goes on when it is writable again', async () => {
    const embedded = openIt();
    const store = storeOf(embedded);
    await claim(store, 0);
    // As after an error of the disk: the whole file system becomes read-only, not while a file is open for writing.
    await embedded.close();
    await disk.setWritable(false);
    expect(() => openIt()).toThrow(/EROFS.*mount its file system writable/);
    const away = storeOf(openIt(true));
    await expect(claim(away, 0)).rejects.toThrow('EROFS');
    await disk.setWritable(true);
    await eventually(async () => expect((await claim(away, 0)).made).toBe(false));
  });
});

test('drafts of the lock that killed processes left behind are removed', () => {
  const embedded = openIt();
  writeFileSync(join(directory, 'owner.999999999'), '');
  writeFileSync(join(directory, 'owner.999999998.stale'), '');
  return embedded.close().then(() => {
    openIt();
    expect(readdirSync(directory).filter((name) => name.startsWith('owner.'))).toEqual([]);
  });
});
