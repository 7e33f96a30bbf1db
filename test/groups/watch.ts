import type { Outcome } from '../support/load.ts';

export interface Team {
  readonly name: string;
  readonly members: readonly string[];
}

/** A member was served at one instance, and another of the team at another one, while both could be there. */
export interface Split {
  readonly team: string;
  readonly members: readonly [string, string];
  readonly instances: readonly [string, string];
}

interface Served {
  readonly instance: string;
  readonly startedAt: number;
}

/** Sees by the answers where members are served, and finds teams that are split at any time. */
export class TeamWatch {
  readonly splits: Split[] = [];
  readonly #teamOf = new Map<string, string>();
  /** The team of each agent by the file that holds now. It counts once the agent was gone. */
  readonly #nextOf = new Map<string, string>();
  readonly #served = new Map<string, Map<string, Served>>();
  /** When each instance last lost its agents, in monotonic ms. */
  readonly #lostAt = new Map<string, number>();
  failed = 0;

  readonly #idleMs: number;

  /** @param idleMs after this time without a request, an agent may have lost the binding, and counts as gone */
  constructor(teams: readonly Team[], idleMs: number) {
    this.#idleMs = idleMs;
    for (const team of teams) this.join(team.name, ...team.members);
  }

  /** From now on they belong to the team. */
  join(team: string, ...members: readonly string[]): void {
    for (const member of members) this.#teamOf.set(member, team);
  }

  /** From now on the file says so. Agents who are there stay with their old team until they are gone. */
  regroup(teams: readonly Team[]): void {
    for (const { name, members } of teams) for (const member of members) this.#nextOf.set(member, name);
  }

  /** The instance loses its agents now. */
  lost(instance: string): void {
    this.#lostAt.set(instance, performance.now());
  }

  /** All agents have left. */
  forget(team?: string): void {
    if (team === undefined) this.#served.clear();
    else this.#served.delete(team);
  }

  see({ user, connector, status, startedAt }: Outcome): void {
    if (status !== 200 || connector === undefined) {
      this.failed += 1;
      return;
    }
    const served = { instance: connector, startedAt };
    if (!this.#counts(served)) return;
    const team = this.#teamFor(user, startedAt);
    const members = this.#served.get(team) ?? new Map<string, Served>();
    this.#served.set(team, members);
    members.set(user, served);
    for (const [other, there] of members) {
      if (there.instance === connector || !this.#counts(there)) continue;
      this.splits.push({ team, members: [user, other], instances: [connector, there.instance] });
    }
  }

  /** The instance of each team. */
  places(): Map<string, string> {
    const places = new Map<string, string>();
    for (const [team, members] of this.#served)
      for (const there of members.values()) if (this.#counts(there)) places.set(team, there.instance);
    return places;
  }

  /** How many agents each instance serves. */
  load(instances: readonly string[]): Map<string, number> {
    const load = new Map(instances.map((id) => [id, 0]));
    for (const members of this.#served.values())
      for (const there of members.values())
        if (this.#counts(there)) load.set(there.instance, (load.get(there.instance) ?? 0) + 1);
    return load;
  }

  #teamFor(user: string, now: number): string {
    const team = this.#teamOf.get(user) ?? '';
    const before = this.#served.get(team)?.get(user);
    const next = this.#nextOf.get(user) ?? team;
    if (before === undefined || before.startedAt + this.#idleMs >= now || next === team) return team;
    this.#served.get(team)?.delete(user);
    this.#teamOf.set(user, next);
    return next;
  }

  #counts({ instance, startedAt }: Served): boolean {
    if (startedAt + this.#idleMs < performance.now()) return false;
    return startedAt > (this.#lostAt.get(instance) ?? 0);
  }
}

/** How far the instances are from an even share, at most, as a fraction of that share. */
export function unevenness(load: ReadonlyMap<string, number>): number {
  const counts = [...load.values()];
  const even = counts.reduce((sum, one) => sum + one, 0) / counts.length;
  return Math.max(...counts.map((count) => Math.abs(count - even) / even));
}
