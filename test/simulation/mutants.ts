import type { Binding, Claim, Placement } from '../../src/core/binding.ts';
import type { AgreedView } from '../../src/core/view/agreed-view.ts';
import { Replica } from '../../src/core/view/replica.ts';
import type { Mode, Moment } from '../../src/core/view/routing-state.ts';
import type { View } from '../../src/core/view/view.ts';
import type { SyncReply, SyncRequest } from '../../src/core/view/view-store.ts';
import type { Entry } from './bindings.ts';
import { KnownBindings } from './bindings.ts';
import { Forget } from './forget.ts';
import { RELAY_MUTANTS } from './relay-mutants.ts';
import type { Rules } from './rules.ts';
import { RULES } from './rules.ts';
import { Store } from './store.ts';

/** Acts on its view without limit once it has had a lease. */
class SkipsLeaseCheck extends Replica {
  #hasHeld = false;

  override modeAt(mono: number, wall: number): Mode {
    const mode = super.modeAt(mono, wall);
    if (mode === 'leased') this.#hasHeld = true;
    return mode === 'waiting' && this.#hasHeld ? 'leased' : mode;
  }
}

/** Acts on a new view before the others know it. */
class IgnoresBefore extends Replica {
  override get before(): View | undefined {
    return undefined;
  }
}

/** Goes on placing agents alone when the store has answered, until it has a lease itself. */
class PlacesUntilLeased extends Replica {
  override get hearsStore(): boolean {
    return false;
  }
}

class SkipsEpochCheck extends Store {
  protected override isStale(): boolean {
    return false;
  }
}

/** Does not notice until the next sync that the fencing token belongs to an earlier generation. */
class SkipsGenerationCheck extends Store {
  protected override isStale(fencingToken: string): boolean {
    return fencingToken !== this.fencingToken;
  }
}

class ClaimsWithoutCompare extends Store {
  protected override claim(agent: string, proposal: Placement, fencingToken: string): Claim | 'stale' {
    if (this.isStale(fencingToken)) return 'stale';
    const root = { kind: 'user', value: agent } as const;
    return this.put({ ...proposal, root, generation: 1 }, this.held(agent), fencingToken);
  }
}

class RebindsWithoutGeneration extends Store {
  protected override rebind(expected: Binding, proposal: Placement, fencingToken: string): Claim | 'stale' {
    if (this.isStale(fencingToken)) return 'stale';
    const { root, generation } = expected;
    const held = this.held(root.value);
    return this.put({ ...proposal, root, generation: generation + 1 }, held, fencingToken);
  }
}

/** The first write-back wins. */
class RestoresEarlier extends Store {
  protected override restoresLater(): boolean {
    return false;
  }
}

/** A store that has lost its last writes goes on as before. */
class OpensAtOnce extends Store {
  protected override nextGeneration(): string {
    return this.storeGeneration;
  }
}

/** Sends agents by its own configuration instead of the agreed one. */
class ServesDrifted extends Replica {
  override get view(): View {
    const view = super.view;
    return view.fit === 'differs' ? { ...view, fit: 'agreed' } : view;
  }
}

/** Takes its own priorities for the agreed ones. */
class DecidesByItself extends Replica {
  override learn(request: SyncRequest, reply: SyncReply, sent: Moment, now: Moment): void {
    super.learn(
      request,
      reply.view === undefined ? reply : { ...reply, view: this.#byOwn(reply.view) },
      sent,
      now,
    );
  }

  override proposed(view: AgreedView, now: Moment): void {
    super.proposed(this.#byOwn(view), now);
  }

  #byOwn(view: AgreedView): AgreedView {
    if (view.config === undefined) return view;
    const own = Object.entries(this.parts).filter(([part]) => part.startsWith('priority:'));
    return { ...view, config: { ...view.config, ...Object.fromEntries(own) } };
  }
}

/** Ends the binding without waiting until all gateways refuse the agent. */
class ForgetsAtOnce extends Forget {
  protected override isRefusedEverywhere(): boolean {
    return true;
  }
}

/** Ends a binding whatever view is in effect, so also when the command comes late. */
class ReleasesWithoutToken extends Store {
  protected override release(expected: Binding): Binding | undefined | 'stale' {
    return this.remove(expected);
  }
}

/** The next binding of a forgotten agent has the first generation again. */
class BeginsGenerationsAgain extends Store {
  protected override lastReleased(): number {
    return 0;
  }
}

/** Always takes its cache for current. */
class TrustsForever extends KnownBindings {
  protected override entryOf(binding: Binding, epoch: number, alone: boolean): Entry {
    const entry = super.entryOf(binding, epoch, alone);
    return { ...entry, routed: { ...entry.routed, epoch: Number.POSITIVE_INFINITY } };
  }
}

/** Planted bugs, by name. The simulation has to find each. */
export const MUTANTS: Readonly<Record<string, Rules>> = {
  'skip the lease check': { ...RULES, createReplica: (options) => new SkipsLeaseCheck(options) },
  'skip the epoch check': { ...RULES, createStore: (events) => new SkipsEpochCheck(events) },
  'claim without compare': { ...RULES, createStore: (events) => new ClaimsWithoutCompare(events) },
  'rebind without generation': { ...RULES, createStore: (events) => new RebindsWithoutGeneration(events) },
  'act on a pending view': { ...RULES, createReplica: (options) => new IgnoresBefore(options) },
  'open a new store generation at once': { ...RULES, createStore: (events) => new OpensAtOnce(events) },
  'trust the cache in any epoch': { ...RULES, createBindings: (replica) => new TrustsForever(replica) },
  'claim in an unknown store generation': {
    ...RULES,
    createStore: (events) => new SkipsGenerationCheck(events),
  },
  'place alone after two time-outs': {
    ...RULES,
    createReplica: (options) => new Replica({ ...options, awayMs: 100 }),
  },
  'place alone though the store has answered': {
    ...RULES,
    createReplica: (options) => new PlacesUntilLeased(options),
  },
  'serve with another configuration': {
    ...RULES,
    createReplica: (options) => new ServesDrifted(options),
  },
  'decide by its own priorities': { ...RULES, createReplica: (options) => new DecidesByItself(options) },
  'give up nothing that it has sent': { ...RULES, mustGiveUp: () => false },
  'forget an agent without waiting for the others': {
    ...RULES,
    createForget: (gateway, agent) => new ForgetsAtOnce(gateway, agent),
  },
  'release without a fencing token': { ...RULES, createStore: (events) => new ReleasesWithoutToken(events) },
  'begin with generation 1 after a release': {
    ...RULES,
    createStore: (events) => new BeginsGenerationsAgain(events),
  },
  'restore the first, not the latest': { ...RULES, createStore: (events) => new RestoresEarlier(events) },
  ...RELAY_MUTANTS,
};
