import type { RecordGatewayEvent } from '../admin/admin-options.ts';
import type { PoolSource } from '../admin/pool-source.ts';
import type { LifecycleState } from '../core/lifecycle.ts';
import type { PoolEvent } from '../core/view/agreed-view.ts';
import type { HostEvent, Init } from '../process/messages.ts';
import type { Logger } from '../telemetry/logger.ts';

interface GatewayEventsOptions {
  readonly pools: () => readonly Pick<PoolSource, 'name' | 'operations'>[];
  readonly logger: Logger;
}

const MOST_LETTERS = 2_000;
// What leads to these was recorded with the state before.
const NOT_RECORDED: readonly LifecycleState[] = ['Draining', 'Stopped'];

/** Writes what concerns this gateway alone into the event logs of all its pools, with or without an operator. */
export class GatewayEvents {
  readonly #options: GatewayEventsOptions;
  readonly #replica: string;
  #state: LifecycleState;

  constructor({ replica, lifecycle }: Pick<Init, 'replica' | 'lifecycle'>, options: GatewayEventsOptions) {
    this.#replica = replica;
    this.#state = lifecycle.state;
    this.#options = options;
  }

  /** Never rejects: an act that the gateway alone carries out must not wait for a store. */
  readonly record: RecordGatewayEvent = async (given) => {
    const { logger, pools } = this.#options;
    const event: PoolEvent = { instance: '', from: '', to: '', ...given, gateway: this.#replica };
    const results = await Promise.allSettled(pools().map(({ operations }) => operations.log.record([event])));
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected')
      logger.warn({ event, reason: (failed.reason as Error).message }, 'not in the event log');
  };

  /** To be called with each event of the supervisor. */
  onEvent(event: HostEvent): void {
    const by = this.#replica;
    if (event.kind === 'reloaded') {
      const to = event.changes.length === 0 ? 'unchanged' : event.changes.join('; ').slice(0, MOST_LETTERS);
      void this.record({ kind: 'options', to, by, why: event.why });
    }
    if (event.kind !== 'lifecycle') return;
    const { state, why } = event.lifecycle;
    const from = this.#state;
    this.#state = state;
    if (state !== from && !NOT_RECORDED.includes(state))
      void this.record({ kind: 'state', from, to: state, by, why });
  }
}
