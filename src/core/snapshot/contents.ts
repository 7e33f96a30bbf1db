import type { Name } from '../identity.ts';
import { parseNameKey } from '../identity.ts';
import type { KnownBinding } from '../ports.ts';
import type { SnapshotRecord } from './records.ts';
import { keyOf } from './records.ts';

type Bound = Extract<SnapshotRecord, { kind: 'bound' }>;

/** A binding without its names: there can be a million of them. */
interface Kept {
  readonly instance: string;
  readonly incarnation: string;
  readonly generation: number;
  readonly knownAt: number;
  readonly endsAt: number;
}

/** What of a snapshot may be offered to a store that has lost its bindings. */
export interface OfferedBindings {
  /** How many there are. */
  readonly size: number;
  /** Each is made as it is taken. The agents who were active last come first. */
  readonly entries: Iterable<KnownBinding>;
  /** So many have ended meanwhile: their agents sent nothing for an idle lifetime, or have logged off. */
  readonly ended: number;
}

/** The bindings that the lines of a file lead to. */
export class SnapshotContents {
  /** By the key of the root. */
  readonly #roots = new Map<string, Kept>();
  readonly #loggedOff = new Set<string>();
  /** From the key of an alias to the key of its root. */
  readonly #aliases = new Map<string, string>();
  /** One copy of each text that many bindings have. */
  readonly #texts = new Map<string, string>();

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
    const live = [...this.#roots].filter(([key, { endsAt }]) => endsAt > now && !this.#loggedOff.has(key));
    live.sort(([, a], [, b]) => b.endsAt - a.endsAt);
    const ended = this.#roots.size - live.length;
    return { size: live.length, ended, entries: this.#entries(live, now, idleLifetimeMs) };
  }

  *#entries(
    live: readonly (readonly [string, Kept])[],
    now: number,
    idleLifetimeMs: number,
  ): Generator<KnownBinding> {
    const aliases = new Map<string, string[]>();
    for (const [alias, root] of this.#aliases) {
      const known = aliases.get(root);
      if (known === undefined) aliases.set(root, [alias]);
      else known.push(alias);
    }
    for (const [key, { instance, incarnation, generation, knownAt, endsAt }] of live) {
      yield {
        binding: { root: parseNameKey(key) as Name, instance, incarnation, generation },
        aliases: (aliases.get(key) ?? []).map((alias) => parseNameKey(alias) as Name),
        epoch: 0,
        // The clock may have been set back: then it counts as if it were used just now.
        usedAgoMs: Math.max(0, now + idleLifetimeMs - endsAt),
        snapshotAgoMs: Math.max(0, now - knownAt),
      };
    }
  }

  /** A page that was read while a message came may be older than the message. */
  #bind({ binding, aliases, knownAt, endsAt }: Bound): void {
    const key = keyOf(binding.root);
    const known = this.#roots.get(key);
    const { generation } = binding;
    // Generation 0: this gateway decided it alone, after all that the store had told.
    if (known === undefined || generation >= known.generation || generation === 0) {
      this.#roots.set(key, {
        instance: this.#shared(binding.instance),
        incarnation: this.#shared(binding.incarnation),
        generation,
        knownAt,
        endsAt: Math.max(endsAt, known?.generation === generation ? known.endsAt : 0),
      });
      this.#loggedOff.delete(key);
    }
    this.#aliases.delete(key);
    for (const name of aliases) {
      this.#roots.delete(keyOf(name));
      this.#aliases.set(keyOf(name), key);
    }
  }

  #shared(text: string): string {
    const known = this.#texts.get(text);
    if (known === undefined) this.#texts.set(text, text);
    return known ?? text;
  }
}
