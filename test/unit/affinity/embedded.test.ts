import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Embedded } from '../../../src/affinity/embedded/store.ts';
import { openEmbedded } from '../../../src/affinity/embedded/store.ts';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import { evidenceContract } from '../../contract/affinity-evidence.ts';
import { behavesLikeTheModel, FEW, listsLikeTheModel } from '../../contract/affinity-histories.ts';
import { affinityLimitsContract } from '../../contract/affinity-limits.ts';
import { affinityStoreContract } from '../../contract/affinity-store.ts';
import type { OpenStore } from '../../contract/affinity-store-support.ts';
import { at, session, user } from '../../contract/affinity-store-support.ts';

import { eventually } from '../../support/eventually.ts';

// The process that uses the store keeps the view store too, so the store accepts any fencing token.
const FENCING_TOKEN = '1.view:local';

async function openStore(idleLifetimeMs: number, maxBindings = 1_000_000): Promise<OpenStore> {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-lmdb-'));
  const embedded = openEmbedded({ directory });
  return {
    store: embedded.store('crm', { idleLifetimeMs, maxBindings }),
    fencingToken: FENCING_TOKEN,
    close: async () => {
      await embedded.close();
      rmSync(directory, { recursive: true });
    },
  };
}

affinityStoreContract('the embedded store', openStore);
evidenceContract('the embedded store', openStore);
affinityLimitsContract('the embedded store', (maxBindings) => openStore(3_600_000, maxBindings));

describe('the embedded store', () => {
  const HOUR_MS = 3_600_000;
  let directory: string;
  let now = 1_800_000_000_000;
  const open: Embedded[] = [];

  function openIt(): Embedded {
    const embedded = openEmbedded({ directory, clock: () => now });
    open.push(embedded);
    return embedded;
  }
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ici-gateway-lmdb-'));
  });
  afterEach(async () => {
    for (const embedded of open.splice(0)) await embedded.close();
    rmSync(directory, { recursive: true });
  });

  test('behaves like the model in any history', async () => {
    const embedded = openIt();
    let pools = 0;
    await behavesLikeTheModel(
      async () => ({
        store: embedded.store(`p${pools++}`, { idleLifetimeMs: HOUR_MS }),
        fencingToken: FENCING_TOKEN,
      }),
      60,
    );
  });

  test('behaves like the model where names give way to each other', async () => {
    const embedded = openIt();
    let pools = 0;
    await behavesLikeTheModel(
      async (maxBindings = 0) => ({
        store: embedded.store(`p${pools++}`, { idleLifetimeMs: HOUR_MS, maxBindings }),
        fencingToken: FENCING_TOKEN,
      }),
      40,
      FEW,
    );
  });

  test('lists like the model after any history', async () => {
    const embedded = openIt();
    let pools = 0;
    await listsLikeTheModel(
      async () => ({
        store: embedded.store(`p${pools++}`, { idleLifetimeMs: HOUR_MS }),
        fencingToken: FENCING_TOKEN,
      }),
      30,
    );
  });

  test('keeps its bindings when it is closed and opened again', async () => {
    const first = openIt();
    const store = first.store('crm', { idleLifetimeMs: HOUR_MS });
    const { binding } = await store.claim([user('MILLER'), session('s1')], at('a', '7'), FENCING_TOKEN);
    await first.close();

    const again = openIt().store('crm', { idleLifetimeMs: HOUR_MS });

    expect((await again.claim([session('s1')], at('b'), FENCING_TOKEN)).binding).toEqual(binding);
    expect(await again.counts()).toEqual(new Map([['a', 1]]));
  });

  test('a lifetime lasts as long as configured, and at most a 32nd longer', async () => {
    const store = openIt().store('crm', { idleLifetimeMs: HOUR_MS });
    await store.claim([user('MILLER')], at('a'), FENCING_TOKEN);

    now += HOUR_MS - 1;
    expect(await store.counts()).toEqual(new Map([['a', 1]]));
    now += HOUR_MS / 32 + 1;

    expect(await store.counts()).toEqual(new Map());
    expect(await store.renew([user('MILLER')])).toBeUndefined();
  });

  test('deletes ended bindings from its file by itself', async () => {
    const embedded = openIt();
    const store = embedded.store('crm', { idleLifetimeMs: 1_000 });
    for (let i = 0; i < 100; i += 1) await store.claim([user(`U${i}`)], at('a'), FENCING_TOKEN);
    now += 2_000;

    // If they were still stored, setting the time back would restore them.
    await eventually(async () => {
      now -= 2_000;
      const { bindings } = await store.list({});
      now += 2_000;
      expect(bindings).toEqual([]);
    });
  });

  test('a second process on the same directory fails with the pid of the first', async () => {
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log("up")']);
    try {
      await new Promise((resolve) => other.stdout.once('data', resolve));
      const stat = readFileSync(`/proc/${other.pid}/stat`, 'utf8');
      const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      writeFileSync(join(directory, 'owner'), `${other.pid} ${startTime}`);

      expect(() => openIt()).toThrow(`is in use by process ${other.pid}`);
    } finally {
      other.kill('SIGKILL');
    }
    await new Promise((resolve) => other.once('exit', resolve));
    await openIt()
      .store('crm', { idleLifetimeMs: HOUR_MS })
      .claim([user('A')], at('a'), FENCING_TOKEN);
  });

  test('the lock of a zombie process is taken over', async () => {
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60']);
    try {
      const pid = Number(await new Promise((resolve) => parent.stdout.once('data', resolve)));
      // The shell would wait for its child; the program that replaces it does not.
      await eventually(() => expect(readFileSync(`/proc/${parent.pid}/comm`, 'utf8')).toBe('sleep\n'));
      const startTime = (): string | undefined => {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      };
      writeFileSync(join(directory, 'owner'), `${pid} ${startTime()}`);
      expect(() => openIt()).toThrow(`is in use by process ${pid}`);
      process.kill(pid, 'SIGKILL');
      await eventually(() => openIt());
      expect(startTime()).toBeDefined();
    } finally {
      parent.kill('SIGKILL');
    }
  });

  test('the same process cannot open it twice', () => {
    openIt();

    expect(() => openIt()).toThrow(`in use by process ${process.pid}`);
  });

  test('the lock of a process that has ended is taken over, even if its id is in use again', () => {
    writeFileSync(join(directory, 'owner'), `${process.pid} 1`);

    openIt();
  });

  test('releases the directory when it is closed', async () => {
    await openIt().close();

    expect(readdirSync(directory).sort()).toEqual(['data.mdb', 'lock.mdb']);
    openIt();
  });

  test.each([
    ['text', (file: string) => writeFileSync(file, 'hello')],
    ['random bytes', (file: string) => writeFileSync(file, randomBytes(100_000))],
    ['half of it', (file: string) => truncateSync(file, 40_960)],
    ['a header and nothing', (file: string) => truncateSync(file, 8_192)],
  ])('a damaged file (%s) is an error that names the remedy', async (_, damage) => {
    const embedded = openIt();
    const store = embedded.store('crm', { idleLifetimeMs: HOUR_MS });
    for (let i = 0; i < 100; i += 1) {
      await store.restore(
        Array.from({ length: 100 }, (_, j) => ({
          binding: { root: user(`U${i}.${j}`), ...at('a'), generation: 1 },
          aliases: [],
          epoch: 1,
        })),
      );
    }
    await embedded.close();
    damage(join(directory, 'data.mdb'));

    expect(() => openIt()).toThrow('remove data.mdb');
    rmSync(join(directory, 'data.mdb'));
    openIt();
  });

  test('no other user can read it, nor the directory that it makes', async () => {
    const made = join(directory, 'made');
    const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
    const modes = (): [string, string][] =>
      readdirSync(made).map((name) => [name, modeOf(join(made, name))] as [string, string]);
    const embedded = openEmbedded({ directory: made });
    expect(modeOf(made)).toBe('700');
    expect(modes().length).toBeGreaterThan(1);
    expect(modes()).toEqual(modes().map(([name]) => [name, '600']));
    await embedded.close();

    // As an earlier release has left them.
    for (const name of ['data.mdb', 'lock.mdb']) chmodSync(join(made, name), 0o664);
    const again = openEmbedded({ directory: made });
    expect(modes()).toEqual(modes().map(([name]) => [name, '600']));
    await again.close();
  });

  test('a closed store refuses, so the caller goes on without it', async () => {
    const store = openIt().store('crm', { idleLifetimeMs: HOUR_MS });
    await store.close();

    await expect(store.claim([user('A')], at('a'), FENCING_TOKEN)).rejects.toBeInstanceOf(StoreUnavailable);
  });
});
