import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SnapshotRecorder } from '../../../src/affinity/snapshot/recorder.ts';
import type { Binding } from '../../../src/core/binding.ts';
import type { Name } from '../../../src/core/identity.ts';
import type { AffinityListener, AffinityStore, BindingPage, ListedBinding } from '../../../src/core/ports.ts';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import { SnapshotContents } from '../../../src/core/snapshot/contents.ts';
import { readLine } from '../../../src/core/snapshot/records.ts';
import { eventually } from '../../support/eventually.ts';

const LIFETIME_MS = 3_600_000;
const user = (value: string): Name => ({ kind: 'user', value });
const at = (name: string, instance: string, generation = 1): Binding => ({
  root: user(name),
  instance,
  incarnation: 'i1',
  generation,
});
const listed = (binding: Binding): ListedBinding => ({ binding, expiresInMs: LIFETIME_MS });

let directory: string;
let path: string;
let pages: (() => Promise<BindingPage> | BindingPage)[];
let found: ListedBinding | undefined;
let news: AffinityListener;
let generation: string | undefined;
let failures: Error[];
let recorder: SnapshotRecorder;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-recorder-'));
  path = join(directory, 'ici.bindings');
  pages = [() => pageOf(listed(at('MILLER', 'a')))];
  found = undefined;
  generation = 'L1';
  failures = [];
  const store = {
    listen: (listener: AffinityListener) => {
      news = listener;
    },
    list: async ({ cursor }: { cursor?: string }) => {
      const next = Number(cursor ?? 0);
      const page = await (pages[next] as (typeof pages)[0])();
      return { ...page, cursor: next + 1 < pages.length ? String(next + 1) : undefined };
    },
    find: async () => found,
  };
  recorder = new SnapshotRecorder({
    store: store as unknown as AffinityStore,
    path,
    pool: 'ici',
    keyPrefix: 'p',
    idleLifetimeMs: LIFETIME_MS,
    openGeneration: () => generation,
    renew: async () => undefined,
    onWritten: () => undefined,
    onFailed: (error) => failures.push(error),
  });
});
afterEach(async () => {
  await recorder.close();
  rmSync(directory, { recursive: true, force: true });
});

function pageOf(...bindings: ListedBinding[]): BindingPage {
  return { bindings, aliases: [], cursor: undefined };
}

/** What would be offered now, as `<name>@<instance>`. */
function places(): string[] {
  const contents = new SnapshotContents();
  for (const line of readFileSync(path, 'utf8').trimEnd().split('\n').slice(1)) {
    const record = readLine(line);
    if (record === undefined || record.kind === 'header') throw new Error(`cannot be read: ${line}`);
    contents.take(record);
  }
  const { entries } = contents.offered(Date.now(), LIFETIME_MS);
  return [...entries].map(({ binding }) => `${binding.root.value}@${binding.instance}`).sort();
}

/** Ticks, as every second, until that holds. */
function ticking(condition: () => void): Promise<void> {
  return eventually(() => {
    recorder.tick();
    condition();
  });
}

function become(...expected: string[]): Promise<void> {
  return ticking(() => expect(places()).toEqual(expected));
}

test('writes all bindings, and each change after that', async () => {
  await become('MILLER@a');
  news.onBound(at('SMITH', 'b'), [], 1, false);
  news.onBound(at('MILLER', 'b', 2), [], 1, false);
  await become('MILLER@b', 'SMITH@b');
  news.onMoved([user('SMITH')]);
  await become('MILLER@b');
  recorder.decidedAlone(at('JONES', 'c', 0), []);
  await become('JONES@c', 'MILLER@b');
});

test('a message that comes while a page is read counts more than the page', async () => {
  pages = [
    () => {
      news.onMoved([user('MILLER')]);
      news.onBound(at('SMITH', 'b', 5), [], 1, false);
      return pageOf(listed(at('MILLER', 'a')), listed(at('SMITH', 'a', 4)));
    },
  ];
  await become('SMITH@b');
});

test('after missed messages all are read again, and meanwhile the file before stays', async () => {
  await become('MILLER@a');
  let answer: ((page: BindingPage) => void) | undefined;
  pages = [
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  ];
  news.onGap();
  await ticking(() => expect(answer).toBeDefined());
  expect(places()).toEqual(['MILLER@a']);
  news.onBound(at('SMITH', 'b'), [], 1, false);
  await become('MILLER@a', 'SMITH@b');
  answer?.(pageOf(listed(at('MILLER', 'c', 2))));
  await become('MILLER@c', 'SMITH@b');
});

test('a store that is emptied while it is read does not empty the file', async () => {
  await become('MILLER@a');
  let times = 1;
  pages = [
    () => {
      times += 1;
      generation = `L${times}`;
      return pageOf();
    },
  ];
  news.onGap();
  await ticking(() => expect(times).toBeGreaterThan(3));
  expect(places()).toEqual(['MILLER@a']);
});

test('while the store is away or closed, the file before stays', async () => {
  await become('MILLER@a');
  let asked = 0;
  pages = [
    () => {
      asked += 1;
      throw new StoreUnavailable('away');
    },
  ];
  news.onGap();
  await ticking(() => expect(asked).toBeGreaterThan(1));
  generation = undefined;
  await eventually(() => expect(existsSync(`${path}.new`)).toBe(false));
  recorder.tick();
  expect([places(), failures]).toEqual([['MILLER@a'], []]);
});

test('an agent who has logged off is left out, unless the store says that a request came after it', async () => {
  await become('MILLER@a');
  found = { ...listed(at('MILLER', 'a', 2)), loggedOff: true };
  news.onLoggedOff(user('MILLER'), { generation: 2, endsInMs: 1, ageMs: 0 });
  await become();
  found = listed(at('MILLER', 'a', 3));
  news.onLoggedOff(user('MILLER'), { generation: 3, endsInMs: 1, ageMs: 0 });
  await become('MILLER@a');
});

test('a file that cannot be written is removed, because it would miss changes; said once', async () => {
  await become('MILLER@a');
  // No draft can be made in the place of a directory, not even by root.
  mkdirSync(`${path}.new`);
  news.onGap();
  await ticking(() => expect([failures.length, existsSync(path)]).toEqual([1, false]));
  recorder.tick();
  expect(failures[0]).toMatchObject({ code: 'EISDIR' });
});
