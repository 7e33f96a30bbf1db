import type { GroupProposal, Placement } from '../core/binding.ts';
import { compactIncarnation } from '../core/stored-name.ts';

/** A name that holds a binding. */
export interface RootEntry {
  readonly instance: string;
  readonly incarnation: string;
  readonly generation: number;
  /** Milliseconds since 1970, a multiple of the quantum. The entry is live before that time. */
  readonly end: number;
  /** Only names that were found in bodies have used it so far. */
  readonly found?: boolean;
  /** Since when and why it holds: see affinity/origin-text.ts. */
  readonly origin?: string;
  /** When a request of the agent last used it, in milliseconds since 1970; missing if that is not known. */
  readonly used?: number | undefined;
}

/** An alias: a name that leads to a root. */
export interface PointerEntry {
  readonly root: string;
  readonly end: number;
  /** One of the two names was only found in a body beside the other. */
  readonly found?: boolean;
}

export type Entry = RootEntry | PointerEntry;

// The mark before the generation of a root that was only found.
const FOUND = /^0\d/;
const INSTANCE = /^[A-Za-z0-9._-]{1,64}$/;

export function isRoot(entry: Entry): entry is RootEntry {
  return 'instance' in entry;
}

/**
 * `=<instance>|<incarnation>|<generation>|<end>`, or `><end>|<root>`. The scripts mark an entry as only found with a
 * zero before the generation, or before the pointer's end. Releases that do not know the mark read the same number.
 */
export function pack(entry: Entry): string {
  if (!isRoot(entry)) return `>${entry.end}|${entry.root}`;
  return `=${entry.instance}|${entry.incarnation}|${entry.generation}|${entry.end}`;
}

/** The inverse of {@link pack}; throws on any other text. */
export function unpack(packed: string): Entry {
  if (packed.startsWith('>')) {
    const bar = packed.indexOf('|');
    return { end: Number(packed.slice(1, bar)), root: packed.slice(bar + 1) };
  }
  const [instance, incarnation, generation, end] = packed.slice(1).split('|');
  if (!packed.startsWith('=') || end === undefined)
    throw new Error(`the affinity store has an entry that cannot be read: ${packed}`);
  return {
    instance: shared(instance as string),
    incarnation: shared(incarnation as string),
    generation: Number(generation),
    end: Number(end),
    ...(FOUND.test(generation as string) ? { found: true } : {}),
  };
}

const texts = new Map<string, string>();
const MOST_TEXTS = 10_000;

/** One copy of a text that many entries have. A part of an entry's text would also keep the whole of it in memory. */
function shared(text: string): string {
  const known = texts.get(text);
  if (known !== undefined) return known;
  if (texts.size >= MOST_TEXTS) texts.clear();
  const own = Buffer.from(text).toString();
  texts.set(own, own);
  return own;
}

/** The placement in the characters that packed entries allow. */
export function packable(placement: Placement): Placement {
  if (!INSTANCE.test(placement.instance)) {
    throw new TypeError(`instance id ${JSON.stringify(placement.instance)} does not match ${INSTANCE}`);
  }
  return { instance: placement.instance, incarnation: compactIncarnation(placement.incarnation) };
}

/** {@link packable} for all placements of a group. */
export function packableGroup(group: GroupProposal): GroupProposal {
  const packed = <P extends Placement>(place: P): P => ({ ...place, ...packable(place) });
  return { ...group, places: group.places.map(packed), closed: group.closed.map(packed) };
}

/**
 * The granularity of ends, in milliseconds: a 32nd of the lifetime. The live bindings of an instance then have at most
 * 34 different ends, which makes counting them cheap.
 */
export function quantumOf(idleLifetimeMs: number): number {
  return Math.max(1, Math.floor(idleLifetimeMs / 32));
}

/**
 * When a binding expires whose lifetime starts now: at least the idle lifetime away, and at most one quantum more. It
 * is stored as a time, not as a count of quanta, so that entries stay valid when an operator changes the lifetime.
 */
export function endOf(now: number, idleLifetimeMs: number, quantum: number): number {
  return (Math.floor((now + idleLifetimeMs) / quantum) + 1) * quantum;
}

/** The number of buckets of a pool in Redis, see decisions/0002. Changing it loses every stored binding. */
export const BUCKETS = 32_768;

/** FNV-1a over UTF-16 code units, folded: cheap, and spreads short names well. A change loses every stored binding. */
export function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return ((hash >>> 15) ^ hash) & (BUCKETS - 1);
}
