import type { Name } from '../identity.ts';
import { parseNameKey } from '../identity.ts';
import type { KnownBinding } from '../ports.ts';
import type { SnapshotRecord } from './records.ts';
import { keyOf } from './records.ts';

type Bound = Extract<SnapshotRecord, { kind: 'bound' }>;

/** What of a snapshot may be offered to a store that has lost its bindings. */
export interface OfferedBindings {
  /** The agents who were active last come first. */
  readonly entries: readonly KnownBinding[];
  /** So many have ended meanwhile: their agents sent nothing for an idle lifetime, or have logged off. */
  readonly ended: number;
}

/** The bindings that the lines of a file lead to. */
export class SnapshotContents {
  /** By the key of the root. */
  readonly #roots = new Map<string, Bound>();
  readonly #loggedOff = new Set<string>();
  /** From the key of an alias to the key of its root. */
  readonly #aliases = new Map<string, string>();

  take(record: SnapshotRecord): void {
    switch (record.kind) {
      case 'bound':
        this.#bind(record);
        break;
      case 'alias':
        this.#aliases.set(keyOf(record.name), keyOf(record.root));
        break;
      case 'moved':
        for (const name of record.names) {
          this.#roots.delete(keyOf(name));
          this.#aliases.delete(keyOf(name));
        }
        break;
      case 'logged-off':
        this.#loggedOff.add(keyOf(record.root));
        break;
    }
  }

  /** @param now milliseconds since the Unix epoch */
  offered(now: number, idleLifetimeMs: number): OfferedBindings {
    const aliases = new Map<string, Name[]>();
    for (const [key, root] of this.#aliases) {
      const name = parseNameKey(key);
      const known = aliases.get(root);
      if (known !== undefined && name !== undefined) known.push(name);
      else if (name !== undefined && this.#roots.has(root)) aliases.set(root, [name]);
    }
    const live = [...this.#roots].filter(([key, { endsAt }]) => endsAt > now && !this.#loggedOff.has(key));
    live.sort(([, a], [, b]) => b.endsAt - a.endsAt);
    return {
      entries: live.map(([key, { binding, knownAt, endsAt }]) => ({
        binding,
        aliases: aliases.get(key) ?? [],
        epoch: 0,
        // The clock may have been set back: then it counts as if it were used just now.
        usedAgoMs: Math.max(0, now + idleLifetimeMs - endsAt),
        snapshotAgoMs: Math.max(0, now - knownAt),
      })),
      ended: this.#roots.size - live.length,
    };
  }

  /** A page that was read while a message came may be older than the message. */
  #bind(record: Bound): void {
    const key = keyOf(record.binding.root);
    const known = this.#roots.get(key);
    const { generation } = record.binding;
    // Generation 0: this gateway decided it alone, after all that the store had told.
    if (known === undefined || generation >= known.binding.generation || generation === 0) {
      const endsAt = Math.max(record.endsAt, known?.binding.generation === generation ? known.endsAt : 0);
      this.#roots.set(key, { ...record, aliases: [], endsAt });
      this.#loggedOff.delete(key);
    }
    this.#aliases.delete(key);
    for (const name of record.aliases) {
      this.#roots.delete(keyOf(name));
      this.#aliases.set(keyOf(name), key);
    }
  }
}
