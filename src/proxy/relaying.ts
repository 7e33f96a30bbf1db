import type { Route } from '../core/relay.ts';
import { nextRoute } from '../core/relay.ts';
import type { Target } from '../core/target.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Attempt, AttemptOutcome, AttemptRequest } from './attempt.ts';
import type { Pool } from './pool.ts';
import type { RelayClient } from './relay-client.ts';
import type { RequestContext } from './request-context.ts';

/** Decides which requests go through peers, and hands them over. */
export class Relaying {
  readonly #client: RelayClient;

  readonly #metrics: Metrics;

  constructor(client: RelayClient, metrics: Metrics) {
    this.#client = client;
    this.#metrics = metrics;
  }

  /**
   * How the next attempt gets to the instance; `undefined` if all routes have failed. Only a body that is held whole can
   * be relayed.
   */
  nextRoute(
    { body }: Pick<RequestContext, 'body'>,
    { routingState }: Pool,
    { instance }: Target,
    failed: readonly Route[],
  ): Route | undefined {
    const route = nextRoute(routingState, instance, failed);
    if (route === undefined || route === 'direct' || body?.complete !== false) return route;
    return failed.length === 0 ? 'direct' : undefined;
  }

  /** What sends an attempt through the peer that the request goes to; `undefined` if it goes directly. */
  sender(context: RequestContext, pool: Pool, target: Target): AttemptRequest['relay'] {
    const { route, path, epoch: viewEpoch, request, body } = context;
    if (route === 'direct') return undefined;
    const { entry: _, ...placement } = target;
    const order = { pool: pool.name, target: placement, viewEpoch, requestId: String(request.id) };
    const bytes = body?.complete === true ? body.head : null;
    return (method, headers, handler) =>
      this.#client.dispatch(route.peer, order, { method, path, headers }, bytes, handler);
  }

  /** To be called when an attempt has ended. */
  ended({ route }: RequestContext, pool: string, attempt: Attempt, how: AttemptOutcome): void {
    if (route === 'direct') return;
    const outcome = how !== 'answered' && attempt.isUnsent ? 'unsent' : how;
    this.#metrics.relays.inc({ pool, instance: attempt.upstream.id, direction: 'out', outcome });
  }
}
