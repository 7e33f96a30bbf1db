import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SharedTexts } from '../../../src/affinity/embedded/packing.ts';
import { fieldOf, keyBytes, packBytes, unpackBytes } from '../../../src/affinity/embedded/packing.ts';
import { originText, readOrigin, reasonText } from '../../../src/affinity/origin-text.ts';
import type { Entry } from '../../../src/affinity/packing.ts';
import { BUCKETS, bucketOf, endOf, pack, quantumOf, unpack } from '../../../src/affinity/packing.ts';
import type { Cause } from '../../../src/core/origin.ts';
import { compactIncarnation, storedForm, storedKey, valueAsSent } from '../../../src/core/stored-name.ts';
import { session, user } from '../../contract/affinity-store-support.ts';

const entries: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({
    instance: fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/),
    incarnation: fc.string().map(compactIncarnation),
    generation: fc.integer({ min: 1, max: 2 ** 31 }),
    end: fc.integer({ min: 0, max: 2 ** 47 }),
  }),
  fc.record({
    root: fc.oneof(fc.string().map(user), fc.string().map(session)).map(storedKey),
    end: fc.integer({ min: 0, max: 2 ** 47 }),
  }),
);

describe('the stored form of names', () => {
  test('hides every session and leaves users readable', () => {
    expect(storedForm(user('MILLER'))).toEqual(user('MILLER'));
    expect(storedForm(session('s1')).value).toMatch(/^~[A-Za-z0-9_-]{22}$/);
    expect(storedForm(session('s1'))).not.toEqual(storedForm(session('S1')));
  });

  test('is the stored form of itself, for any name', async () => {
    await fc.assert(
      fc.property(fc.oneof(fc.string().map(user), fc.string().map(session)), (name) => {
        expect(storedForm(storedForm(name))).toEqual(storedForm(name));
      }),
    );
  });

  test('of a value that a request sends is never the stored form of another agent', () => {
    for (const kind of ['user', 'session'] as const) {
      const shown = storedForm({ kind, value: 'X'.repeat(60) });
      expect(storedForm({ kind, value: valueAsSent(shown.value) })).not.toEqual(shown);
    }
    expect(valueAsSent('~MILLER')).toBe('~MILLER');
  });

  test('is short, however long the name is', () => {
    expect(storedForm(user('X'.repeat(10_000))).value).toHaveLength(23);
  });

  test('is that of the first release, because stores outlive releases', () => {
    expect(storedKey(session('SID:ANON:host:1'))).toBe('s~nRfsbRLrWMf0U1XRxqMrrQ');
    expect(bucketOf('uMILLER')).toBe(18053);
  });
});

describe('a compact incarnation', () => {
  test('is the raw one if that is short and plain', () => {
    for (const raw of ['', '2026-11-22T01:36:00.000+01:00', '4711', 'a.b:c_d-e+f']) {
      expect(compactIncarnation(raw)).toBe(raw);
    }
  });

  test('replaces a long or odd one, and is its own compact form', async () => {
    await fc.assert(
      fc.property(fc.string({ maxLength: 100 }), (raw) => {
        const compact = compactIncarnation(raw);
        expect(compact).toMatch(/^[A-Za-z0-9_.:+-]{0,40}$/);
        expect(compactIncarnation(compact)).toBe(compact);
      }),
    );
    expect(compactIncarnation('a b')).not.toBe(compactIncarnation('a c'));
  });
});

describe('packed entries', () => {
  test('unpack to the packed values, as text and as bytes', async () => {
    const texts = sharedTexts();
    await fc.assert(
      fc.property(entries, (entry) => {
        expect(unpack(pack(entry))).toEqual(entry);
        expect(unpackBytes(packBytes(entry, texts), texts)).toEqual(entry);
      }),
    );
  });

  test('of roots hold origins as bytes, after those that earlier releases read', async () => {
    const texts = sharedTexts();
    const root = { instance: 'a', incarnation: '7', generation: 3, end: 1_800_000_000_000 };
    const causes: Cause[] = [
      { kind: 'claimed', balancer: 'random' },
      { kind: 'rebound', from: 'b', loss: 'removed' },
      { kind: 'moved', by: 'KLEIN|1', why: 'é|\n2|3' },
    ];
    for (const cause of causes) {
      const entry = { ...root, origin: originText(1_799_999_999_999, 12, reasonText(cause, 'gw1')) };
      const bytes = packBytes(entry, texts);
      expect(unpackBytes(bytes, texts)).toEqual(entry);
      expect(bytes.subarray(0, 15)).toEqual(packBytes(root, texts));
      expect(readOrigin(entry.origin)).toEqual({
        since: 1_799_999_999_999,
        epoch: 12,
        gateway: 'gw1',
        cause,
      });
    }
    expect(texts.reasons).toEqual(['c|gw1|r', 'r|gw1|gb']);
  });

  test('have the same keys as bytes and as text', async () => {
    await fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'grapheme' }).map(user), fc.string().map(session)), (name) => {
        expect(fieldOf(keyBytes(storedKey(name)))).toBe(storedKey(name));
      }),
    );
    expect(keyBytes(storedKey(session('s1')))).toHaveLength(17);
  });

  test('are refused in any other form', () => {
    expect(() => unpack('a|b|c|d')).toThrow('an entry that cannot be read');
    expect(() => unpack('=a|b')).toThrow('an entry that cannot be read');
  });
});

describe('ends', () => {
  test('are a lifetime away plus less than a quantum, and few', async () => {
    await fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 45 }),
        fc.integer({ min: 1, max: 86_400_000 }),
        (now, lifetime) => {
          const quantum = quantumOf(lifetime);
          const end = endOf(now, lifetime, quantum);
          expect(end - now).toBeGreaterThan(lifetime);
          expect(end - now).toBeLessThanOrEqual(lifetime + quantum);
          expect(end % quantum).toBe(0);
        },
      ),
    );
  });
});

describe('buckets', () => {
  test('are all used, and none much more than others', () => {
    const filled = new Array<number>(BUCKETS).fill(0);
    for (let i = 0; i < BUCKETS * 16; i += 1) {
      const bucket = bucketOf(i % 8 === 0 ? storedKey(session(String(i))) : `uAGENT${i}`);
      filled[bucket] = (filled[bucket] ?? 0) + 1;
    }

    // Redis keeps a hash compact up to 128 fields; the mean is 16 here and 61 with a million agents.
    expect(Math.max(...filled)).toBeLessThan(48);
    expect(filled.filter((count) => count === 0).length).toBeLessThan(10);
  });
});

function sharedTexts(): SharedTexts & { readonly reasons: string[] } {
  const placements: string[] = [];
  const reasons: string[] = [];
  const numberIn = (texts: string[], text: string): number =>
    texts.includes(text) ? texts.indexOf(text) : texts.push(text) - 1;
  return {
    reasons,
    numberOf: (instance, incarnation) => numberIn(placements, `${instance}|${incarnation}`),
    placementOf: (number) => {
      const [instance = '', incarnation = ''] = placements[number]?.split('|') ?? [];
      return { instance, incarnation };
    },
    numberOfReason: (reason) => numberIn(reasons, reason),
    reasonOf: (number) => reasons[number] as string,
  };
}
