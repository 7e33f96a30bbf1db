import { describe, expect, test } from 'vitest';
import type { Name } from '../../../../src/core/identity.ts';
import { SnapshotContents } from '../../../../src/core/snapshot/contents.ts';
import type { SnapshotRecord } from '../../../../src/core/snapshot/records.ts';
import { headerLine, readLine, recordLine } from '../../../../src/core/snapshot/records.ts';

const HOUR_MS = 3_600_000;
const NOW = Date.UTC(2026, 10, 30, 12);
const LIFETIME_MS = 12 * HOUR_MS;
const SESSION: Name = { kind: 'session', value: '~AAAAAAAAAAAAAAAAAAAAAA' };

const user = (value: string): Name => ({ kind: 'user', value });

function bound(
  name: string,
  instance: string,
  generation: number,
  { aliases = [] as Name[], knownAgo = 0, endsIn = LIFETIME_MS } = {},
): SnapshotRecord {
  return {
    kind: 'bound',
    binding: { root: user(name), instance, incarnation: 'i1', generation },
    aliases,
    knownAt: NOW - knownAgo,
    endsAt: NOW + endsIn,
  };
}

/** The offered bindings as `<name>@<instance>`, and how many have ended. */
function offered(...records: SnapshotRecord[]): { places: string[]; ended: number } {
  const contents = new SnapshotContents();
  for (const record of records) contents.take(readBack(record));
  const { entries, ended } = contents.offered(NOW, LIFETIME_MS);
  return { places: [...entries].map(({ binding }) => `${binding.root.value}@${binding.instance}`), ended };
}

/** Through the text of a file. */
function readBack(record: SnapshotRecord): SnapshotRecord {
  return readLine(recordLine(record).trimEnd()) as SnapshotRecord;
}

describe('what a snapshot offers', () => {
  test('each binding with its names and its ages, the latest active agent first', () => {
    const contents = new SnapshotContents();
    contents.take({ kind: 'alias', name: SESSION, root: user('MILLER') });
    contents.take(bound('MILLER', 'a', 3, { knownAgo: 5_000, endsIn: 2 * HOUR_MS }));
    contents.take(bound('SMITH', 'b', 1, { endsIn: 11 * HOUR_MS }));
    const { size, ended, ...offered } = contents.offered(NOW, LIFETIME_MS);
    const entries = [...offered.entries];
    expect([size, ended]).toEqual([2, 0]);
    expect(entries.map(({ binding }) => binding.root.value)).toEqual(['SMITH', 'MILLER']);
    expect(entries[1]).toEqual({
      binding: { root: user('MILLER'), instance: 'a', incarnation: 'i1', generation: 3 },
      aliases: [SESSION],
      epoch: 0,
      usedAgoMs: 10 * HOUR_MS,
      snapshotAgoMs: 5_000,
    });
  });

  test('nothing that has ended in the store meanwhile', () => {
    const old = bound('MILLER', 'a', 3, { endsIn: -1_000 });
    expect(offered(old, bound('SMITH', 'b', 1))).toEqual({ places: ['SMITH@b'], ended: 1 });
  });

  test('the latest move, also if a page that was read before it is written after it', () => {
    expect(offered(bound('MILLER', 'a', 3), bound('MILLER', 'b', 4)).places).toEqual(['MILLER@b']);
    expect(offered(bound('MILLER', 'b', 4), bound('MILLER', 'a', 3)).places).toEqual(['MILLER@b']);
  });

  test('a decision made alone after what the store told, and before what it tells later', () => {
    expect(offered(bound('MILLER', 'a', 3), bound('MILLER', 'b', 0)).places).toEqual(['MILLER@b']);
    const later = offered(bound('MILLER', 'a', 3), bound('MILLER', 'b', 0), bound('MILLER', 'c', 3));
    expect(later.places).toEqual(['MILLER@c']);
  });

  test('no agent who was forgotten, until the next binding', () => {
    const forgotten: SnapshotRecord = { kind: 'moved', names: [user('MILLER')] };
    expect(offered(bound('MILLER', 'a', 3), forgotten)).toEqual({ places: [], ended: 0 });
    expect(offered(bound('MILLER', 'a', 3), forgotten, bound('MILLER', 'b', 4)).places).toEqual(['MILLER@b']);
  });

  test('no agent who has logged off, until a request after it is known of', () => {
    const left: SnapshotRecord = { kind: 'logged-off', root: user('MILLER') };
    expect(offered(bound('MILLER', 'a', 3), left)).toEqual({ places: [], ended: 1 });
    const contents = new SnapshotContents();
    for (const record of [bound('MILLER', 'a', 3, { aliases: [SESSION] }), left, bound('MILLER', 'a', 4)])
      contents.take(record);
    expect([...contents.offered(NOW, LIFETIME_MS).entries]).toEqual([
      expect.objectContaining({ aliases: [SESSION] }),
    ]);
  });

  test('a session that went to another agent, at that agent only', () => {
    const contents = new SnapshotContents();
    contents.take(bound('MILLER', 'a', 1, { aliases: [SESSION] }));
    contents.take(bound('SMITH', 'b', 1, { aliases: [SESSION] }));
    const entries = [...contents.offered(NOW, LIFETIME_MS).entries];
    const aliases = entries.map((entry) => [entry.binding.root.value, entry.aliases]);
    expect(aliases).toEqual(
      expect.arrayContaining([
        ['MILLER', []],
        ['SMITH', [SESSION]],
      ]),
    );
  });

  test('a root that has become an alias of another agent is none any more', () => {
    const root: SnapshotRecord = {
      kind: 'bound',
      binding: { root: SESSION, instance: 'a', incarnation: '', generation: 1 },
      aliases: [],
      knownAt: NOW,
      endsAt: NOW + HOUR_MS,
    };
    const joined = new SnapshotContents();
    for (const record of [root, bound('MILLER', 'a', 2, { aliases: [SESSION] })]) joined.take(record);
    expect([...joined.offered(NOW, LIFETIME_MS).entries].map(({ binding }) => binding.root)).toEqual([
      user('MILLER'),
    ]);
  });

  test('a clock that was set back makes an agent active just now, not in the future', () => {
    const contents = new SnapshotContents();
    contents.take(bound('MILLER', 'a', 3, { knownAgo: -HOUR_MS, endsIn: LIFETIME_MS + HOUR_MS }));
    expect([...contents.offered(NOW, LIFETIME_MS).entries]).toEqual([
      expect.objectContaining({ usedAgoMs: 0, snapshotAgoMs: 0 }),
    ]);
  });
});

describe('the lines of a snapshot', () => {
  test('keep every character of a name, and each is one line', () => {
    const name = 'MÜLLER "x"\t\n\u2028|,';
    const record = bound(name, 'a', 3);
    const text = recordLine(record);
    expect(text.indexOf('\n')).toBe(text.length - 1);
    expect(readBack(record)).toEqual(record);
  });

  test('are refused if a character differs, is missing, or the kind is not known', () => {
    const text = recordLine(bound('MILLER', 'a', 3)).trimEnd();
    expect(readLine(text.replace('MILLER', 'MILLES'))).toBeUndefined();
    expect(readLine(text.slice(0, -1))).toBeUndefined();
    expect(readLine('')).toBeUndefined();
    expect(readLine(headerLine({ pool: 'ici', keyPrefix: 'p' }).trimEnd())).toEqual({
      kind: 'header',
      pool: 'ici',
      keyPrefix: 'p',
    });
  });
});
