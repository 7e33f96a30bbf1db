import type { Placement } from '../core/binding.ts';
import { compactIncarnation } from '../core/stored-name.ts';

/** A name that holds a binding. */
export interface RootEntry {
  readonly instance: string;
  readonly incarnation: string;
  readonly generation: number;
  /** Milliseconds of the epoch, a multiple of the quantum: live while now is before it. */
  readonly end: number;
  /** Only names found in bodies ever used it. */
  readonly found?: boolean;
}

/** A name that leads to another one. */
export interface PointerEntry {
  readonly root: string;
  readonly end: number;
  /** One of the two names was only found beside the other. */
  readonly found?: boolean;
}

export type Entry = RootEntry | PointerEntry;

const INSTANCE = /^[A-Za-z0-9._-]{1,64}$/;

export function isRoot(entry: Entry): entry is RootEntry {
  return 'instance' in entry;
}

/**
 * `=<instance>|<incarnation>|<generation>|<end>`, or `><end>|<root>`. The scripts mark what was only found by a zero
 * in front of the generation, or of the pointer's end: releases that do not know the mark read the same number.
 */
export function pack(entry: Entry): string {
  if (!isRoot(entry)) return `>${entry.end}|${entry.root}`;
  return `=${entry.instance}|${entry.incarnation}|${entry.generation}|${entry.end}`;
}

/** The inverse of {@link pack}; throws on text that is none of its. */
export function unpack(packed: string): Entry {
  if (packed.startsWith('>')) {
    const bar = packed.indexOf('|');
    return { end: Number(packed.slice(1, bar)), root: packed.slice(bar + 1) };
  }
  const [instance, incarnation, generation, end] = packed.slice(1).split('|');
  if (!packed.startsWith('=') || end === undefined)
    throw new Error(`not an entry of the affinity store: ${packed}`);
  return {
    instance: instance as string,
    incarnation: incarnation as string,
    generation: Number(generation),
    end: Number(end),
  };
}

/** The placement in the alphabet that entries are packed with. */
export function packable(placement: Placement): Placement {
  if (!INSTANCE.test(placement.instance)) {
    throw new TypeError(`instance id ${JSON.stringify(placement.instance)} does not match ${INSTANCE}`);
  }
  return { instance: placement.instance, incarnation: compactIncarnation(placement.incarnation) };
}

/**
 * How finely ends are told apart, in milliseconds: a 32nd of the lifetime, so
 * that an instance's live bindings end at no more than 34 different moments,
 * which is what makes counting them cheap.
 */
export function quantumOf(idleLifetimeMs: number): number {
  return Math.max(1, Math.floor(idleLifetimeMs / 32));
}

/**
 * The end of a lifetime that starts now: at least the idle lifetime away, and
 * less than a quantum more. It is a moment, not a count of quanta, so that
 * entries keep their meaning when an operator changes the lifetime.
 */
export function endOf(now: number, idleLifetimeMs: number, quantum: number): number {
  return (Math.floor((now + idleLifetimeMs) / quantum) + 1) * quantum;
}

/** Buckets of a pool in Redis. See decisions/0002. Changing it loses every stored binding. */
export const BUCKETS = 32_768;

/** FNV-1a over UTF-16 code units, folded: cheap, spreads short names, and must never change. */
export function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return ((hash >>> 15) ^ hash) & (BUCKETS - 1);
}
