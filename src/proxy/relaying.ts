import type { Route } from '../core/relay.ts';
import { nextRoute } from '../core/relay.ts';
import type { Target } from '../core/target.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Attempt, AttemptOutcome, AttemptRequest } from './attempt.ts';
import type { Pool } from './pool.ts';
import type { RelayClient } from './relay-client.ts';
import type { RequestContext } from './request-context.ts';
import type { Upstream } from './upstream.ts';

// A probe that began before an instance answered through a peer is answered within this time too, if the path from here
// works.
const CONFIRM_MS = 500;

/** Decides which requests go through peers, and hands them over. */
export class Relaying {
  readonly #client: RelayClient;
  readonly #metrics: Metrics;
  /** Those that have answered through a peer, although probes from here fail. */
  readonly #doubted = new Set<Upstream>();

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
    const route = nextRoute(routingState, instance, failed, Math.random());
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
  ended({ route }: RequestContext, pool: Pool, attempt: Attempt, how: AttemptOutcome): void {
    if (route === 'direct') return;
    const { upstream } = attempt;
    const outcome = how !== 'answered' && attempt.isUnsent ? 'unsent' : how;
    this.#metrics.relays.inc({ pool: pool.name, instance: upstream.id, direction: 'out', outcome });
    if (how === 'answered') this.#answeredPeer(pool, upstream);
  }

  /**
   * The instance is well. If no probe from here has passed some time later, it is the path from here that is broken, and
   * what was written to it before will not be answered: that need not wait until the instance counts as cut off.
   */
  #answeredPeer({ routingState }: Pool, upstream: Upstream): void {
    const isFailing = (): boolean => routingState.failing.has(upstream.id);
    if (!isFailing() || this.#doubted.has(upstream)) return;
    const since = performance.now();
    this.#doubted.add(upstream);
    setTimeout(() => {
      this.#doubted.delete(upstream);
      if (!isFailing()) return;
      for (const attempt of upstream.attempts) if ((attempt.sentAt ?? since) < since) attempt.giveUp();
    }, CONFIRM_MS).unref();
  }
}
