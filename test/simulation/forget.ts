import type { Binding } from '../../src/core/binding.ts';
import type { AgentMove } from '../../src/core/view/agreed-view.ts';
import { NOWHERE } from '../../src/core/view/agreed-view.ts';
import { isSameMove, withMove, withoutMove } from '../../src/core/view/policy-changes.ts';
import { keyOf } from './bindings.ts';
import type { Gateway } from './gateway.ts';

/** How long the answer of the admin API waits, and how long the entry in the policy counts. Shorter than in `src/admin`. */
const EFFECT_MS = 3_300;
const FORGET_MS = 3_800;
const LOOK_MS = 20;
const MOST_TRIES = 5;

/** An operator ends an agent's binding through one gateway: `admin/binding-change.ts` in simulated time. */
export class Forget {
  readonly #gateway: Gateway;
  readonly #agent: string;
  #tries = 0;

  constructor(gateway: Gateway, agent: string) {
    this.#gateway = gateway;
    this.#agent = gateway.nameOf(agent);
  }

  start(): void {
    const { link, host } = this.#gateway;
    link.ask(
      host,
      { kind: 'lookup', agent: this.#agent },
      (bound) => {
        if (bound !== undefined) this.#enter(bound, undefined);
      },
      () => {},
    );
  }

  /** @param before the entry that this one replaces */
  #enter(expected: Binding, before: AgentMove | undefined): void {
    const { world } = this.#gateway;
    const now = world.store.clockAt(world.scheduler.now);
    const key = keyOf(this.#agent);
    const until = Math.max(now + FORGET_MS, (before?.until ?? 0) + 1);
    const move: AgentMove = { key, from: expected.instance, to: NOWHERE, until };
    let isRefused = false;
    this.#gateway.commitPolicy(
      (policy) => {
        const rest = before === undefined ? policy : withoutMove(policy, before, now);
        isRefused = rest.moves.some((other) => other.key === key && now < other.until);
        return isRefused ? policy : withMove(rest, move, now);
      },
      {
        onTaken: () => {
          if (!isRefused) this.#wait(expected, move, this.#gateway.host.mono + EFFECT_MS);
        },
      },
    );
  }

  #wait(expected: Binding, move: AgentMove, deadline: number): void {
    const { host } = this.#gateway;
    if (this.isRefusedEverywhere(this.#gateway, move)) this.#release(expected, move);
    else if (host.mono >= deadline) this.#withdraw(move);
    else host.after(LOOK_MS, () => this.#wait(expected, move, deadline));
  }

  /** Every gateway that may act refuses the agent where it was. */
  protected isRefusedEverywhere({ replica }: Gateway, move: AgentMove): boolean {
    const isKnown = replica.agreed.moving.some((entry) => isSameMove(entry, move));
    return isKnown && replica.isEffective && replica.fencingToken !== '';
  }

  #release(expected: Binding, move: AgentMove): void {
    const { link, host, replica } = this.#gateway;
    this.#tries += 1;
    if (this.#tries > MOST_TRIES) {
      this.#withdraw(move);
      return;
    }
    link.ask(
      host,
      { kind: 'release', expected, fencingToken: replica.fencingToken },
      (holds) => {
        if (holds === 'stale') this.#gateway.renew(() => this.#wait(expected, move, host.mono + EFFECT_MS));
        else if (holds === undefined) this.#withdraw(move);
        else if (holds.instance === move.from) this.#wait(holds, move, host.mono + EFFECT_MS);
        else this.#enter(holds, move);
      },
      () => this.#withdraw(move),
    );
  }

  #withdraw(move: AgentMove): void {
    const { world } = this.#gateway;
    this.#gateway.commitPolicy((policy) =>
      withoutMove(policy, move, world.store.clockAt(world.scheduler.now)),
    );
  }
}
