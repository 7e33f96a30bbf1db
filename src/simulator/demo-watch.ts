import type { AgentEvent } from './agent-stats.ts';
import type { AnsweredBy } from './split-detector.ts';
import { placeKey } from './split-detector.ts';

/** The effects of one connector's crash. */
export interface Outage {
  readonly connector: string;
  /** Agents that were logged on there. */
  readonly agents: number;
  /** The agents of these that are logged on again, by connector. */
  readonly backAt: Readonly<Record<string, number>>;
  /** From the kill until the last agent so far was logged on again. */
  readonly withinMs: number;
  /** Agents of other connectors that had to log on again meanwhile. */
  readonly disturbed: number;
  /** From its restart until the gateway reported it up; `undefined` until then. */
  readonly upAgainMs: number | undefined;
  /** Agents that logged on for the first time after it was up again, by connector. */
  readonly newcomers: Readonly<Record<string, number>>;
}

/** Follows the agents through one outage. */
export class OutageWatch {
  readonly #connector: string;
  readonly #dead: string;
  readonly #killedAt: number;
  readonly #missing: Set<string>;
  readonly #agents: number;
  readonly #backAt = new Map<string, number>();
  readonly #newcomers = new Map<string, number>();
  #lastBackAt: number;
  #disturbed = 0;
  #upAgainMs: number | undefined;

  /**
   * @param victim the connector in the incarnation that ends
   * @param places the connector of each agent right before the kill
   */
  constructor(victim: AnsweredBy, places: ReadonlyMap<string, AnsweredBy>, killedAt: number) {
    this.#connector = victim.connector;
    this.#dead = placeKey(victim);
    this.#killedAt = killedAt;
    this.#lastBackAt = killedAt;
    this.#missing = new Set(
      [...places].filter(([, at]) => placeKey(at) === this.#dead).map(([agent]) => agent),
    );
    this.#agents = this.#missing.size;
  }

  get allBack(): boolean {
    return this.#missing.size === 0;
  }

  take(event: AgentEvent, now: number): void {
    if (event.type === 'told') {
      if (event.from !== undefined && placeKey(event.from) !== this.#dead) this.#disturbed += 1;
    } else if (event.type === 'logon') {
      if (this.#missing.delete(event.agent)) {
        this.#lastBackAt = now;
        add(this.#backAt, event.at.connector);
      } else if (this.#upAgainMs !== undefined && !event.again) {
        add(this.#newcomers, event.at.connector);
      }
    }
  }

  upAgain(afterMs: number): void {
    this.#upAgainMs = afterMs;
  }

  outage(): Outage {
    return {
      connector: this.#connector,
      agents: this.#agents,
      backAt: Object.fromEntries(this.#backAt),
      withinMs: Math.round(this.#lastBackAt - this.#killedAt),
      disturbed: this.#disturbed,
      upAgainMs: this.#upAgainMs,
      newcomers: Object.fromEntries(this.#newcomers),
    };
  }
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
