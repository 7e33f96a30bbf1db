import { crc32 } from 'node:zlib';
import type { Binding } from '../binding.ts';
import type { Name } from '../identity.ts';
import { nameKey, parseNameKey } from '../identity.ts';
import { KEY_FORMAT, storedKey } from '../stored-name.ts';

/** The first line of a file of bindings. */
export interface SnapshotHeader {
  readonly kind: 'header';
  readonly pool: string;
  readonly keyPrefix: string;
}

/** One line. Times are milliseconds since the Unix epoch by the gateway's clock; files hold whole seconds. */
export type SnapshotRecord =
  | {
      readonly kind: 'bound';
      readonly binding: Binding;
      /** Some of its names other than the root. */
      readonly aliases: readonly Name[];
      /** When the store last told this gateway of it, or when this gateway decided it. */
      readonly knownAt: number;
      /** When it ends in the store, as far as this gateway knows. */
      readonly endsAt: number;
    }
  /** An alias that was listed without its root. */
  | { readonly kind: 'alias'; readonly name: Name; readonly root: Name }
  /** These names no longer mean the same. */
  | { readonly kind: 'moved'; readonly names: readonly Name[] }
  /** The agent has logged off, and no request has been heard of since. */
  | { readonly kind: 'logged-off'; readonly root: Name };

/** Another number for a format that this release could not read. */
const FORMAT = `ici-gateway snapshot 1.${KEY_FORMAT}`;
const CHECK_DIGITS = 8;

export function headerLine({ pool, keyPrefix }: Omit<SnapshotHeader, 'kind'>): string {
  return line([FORMAT, pool, keyPrefix]);
}

/** A line of JSON behind its checksum. */
export function recordLine(record: SnapshotRecord): string {
  switch (record.kind) {
    case 'bound': {
      const { binding, aliases, knownAt, endsAt } = record;
      const { root, instance, incarnation, generation } = binding;
      const times = [Math.floor(knownAt / 1_000), Math.floor(endsAt / 1_000)];
      return line([
        'b',
        ...times,
        generation,
        instance,
        incarnation,
        ...[root, ...aliases].map((name) => storedKey(name)),
      ]);
    }
    case 'alias':
      return line(['a', storedKey(record.name), storedKey(record.root)]);
    case 'moved':
      return line(['m', ...record.names.map((name) => storedKey(name))]);
    case 'logged-off':
      return line(['l', storedKey(record.root)]);
  }
}

/** The inverse; `undefined` if the line is damaged, or of a release that this one does not know. */
export function readLine(text: string): SnapshotRecord | SnapshotHeader | undefined {
  const json = text.slice(CHECK_DIGITS + 1);
  if (text.slice(0, CHECK_DIGITS + 1) !== `${check(json)} `) return undefined;
  const [kind, ...rest] = JSON.parse(json) as [string, ...(string | number)[]];
  const names = (from: number): Name[] => rest.slice(from).flatMap((key) => parseNameKey(String(key)) ?? []);
  switch (kind) {
    case FORMAT:
      return { kind: 'header', pool: String(rest[0]), keyPrefix: String(rest[1]) };
    case 'b': {
      const [knownAt, endsAt, generation, instance, incarnation] = rest;
      const [root, ...aliases] = names(5);
      if (root === undefined) return undefined;
      return {
        kind: 'bound',
        binding: {
          root,
          instance: String(instance),
          incarnation: String(incarnation),
          generation: Number(generation),
        },
        aliases,
        knownAt: Number(knownAt) * 1_000,
        endsAt: Number(endsAt) * 1_000,
      };
    }
    case 'a': {
      const [name, root] = names(0);
      return name && root && { kind: 'alias', name, root };
    }
    case 'm':
      return { kind: 'moved', names: names(0) };
    case 'l': {
      const [root] = names(0);
      return root && { kind: 'logged-off', root };
    }
    default:
      return undefined;
  }
}

export function keyOf({ kind, value }: Name): string {
  return nameKey(kind, value);
}

function line(values: readonly (string | number)[]): string {
  const json = JSON.stringify(values);
  return `${check(json)} ${json}\n`;
}

function check(text: string): string {
  return crc32(text).toString(16).padStart(CHECK_DIGITS, '0');
}
