import type { AgentGroups } from '../core/agent-groups.ts';
import type { Binding } from '../core/binding.ts';
import type { Name } from '../core/identity.ts';
import type { InstanceId } from '../core/instance.ts';
import { storedKey } from '../core/stored-name.ts';
import type { BindingCache } from './binding-cache.ts';

/** The members of groups whose bindings are cached here. */
export class KnownMembers {
  readonly #groups: Pick<AgentGroups, 'ofUser' | 'version'>;
  readonly #cache: BindingCache;
  /** By group, the keys of their roots. Some may not be cached any more. */
  readonly #members = new Map<string, Set<string>>();
  #version: unknown;

  constructor(groups: Pick<AgentGroups, 'ofUser' | 'version'>, cache: BindingCache) {
    this.#groups = groups;
    this.#cache = cache;
    this.#version = groups.version;
    cache.onAdded((root) => this.#learn(root));
  }

  /** An agent belongs to the group by what the request says. */
  add(group: string, root: Name): void {
    const keys = this.#members.get(group);
    if (keys === undefined) this.#members.set(group, new Set([storedKey(root)]));
    else keys.add(storedKey(root));
  }

  /** Where most members are, of those whose bindings hold. */
  placeOf(group: string, holds: (binding: Binding) => boolean): InstanceId | undefined {
    this.#follow();
    const keys = this.#members.get(group);
    const now = performance.now();
    const counts = new Map<InstanceId, number>();
    for (const key of keys ?? []) {
      const entry = this.#cache.peek(key);
      if (entry?.key !== key || this.#cache.hasEnded(entry, now)) keys?.delete(key);
      else if (holds(entry.binding))
        counts.set(entry.binding.instance, (counts.get(entry.binding.instance) ?? 0) + 1);
    }
    // The order by id is the same at all gateways.
    return [...counts].toSorted(([a, some], [b, others]) => others - some || (a < b ? -1 : 1))[0]?.[0];
  }

  #learn(root: Name): void {
    const group = root.kind === 'user' ? this.#groups.ofUser(root.value) : undefined;
    if (group !== undefined) this.add(group.name, root);
  }

  /** After a change of the file, users may belong to other groups. */
  #follow(): void {
    const { version } = this.#groups;
    if (version === this.#version) return;
    this.#version = version;
    this.#members.clear();
    for (const [key, entry] of this.#cache.entries()) if (key === entry.key) this.#learn(entry.binding.root);
  }
}
