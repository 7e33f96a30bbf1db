import type { AgentBindings } from '../core/agent-bindings.ts';
import type { Balancer, Load } from '../core/balancers.ts';
import type { InstanceId } from '../core/instance.ts';
import type { RoutingState } from '../core/view/routing-state.ts';
import type { PoolMode } from '../core/view/view.ts';
import type { Upstream } from './upstream.ts';
import type { WaitQueue } from './wait-queue.ts';

/** Who takes requests that name nobody. */
export type AnonymousPolicy = 'any' | 'address' | 'refuse';

/** What an agent is told whose instance has lost him. */
export interface SessionLostPolicy {
  /** `fault`: to log on again. `pass`: nothing, his request goes to the instance that he is bound to now. */
  readonly answer: 'pass' | 'fault';
  /** Local names of the operations with which an agent logs on; they go through in any case. */
  readonly logonOperations: readonly string[];
}

/** Everything that serving a pool takes, put together once. */
export interface Pool {
  readonly name: string;
  readonly mode: PoolMode;
  readonly anonymous: AnonymousPolicy;
  readonly sessionLost: SessionLostPolicy;
  readonly balancer: Balancer;
  /** Spreads requests that are bound to nobody. */
  readonly anonymousBalancer: Balancer;
  readonly load: Load;
  readonly bindings: AgentBindings;
  readonly upstreams: ReadonlyMap<InstanceId, Upstream>;
  readonly parking: WaitQueue;
  readonly routingState: RoutingState;
  /** Counted up with every change for which a request may wait. */
  changes: number;
  /** When the last request came, in monotonic ms. */
  lastRequestAt: number;
}

/**
 * Are requests bound to agents? Where one instance serves all, only in order to
 * know whom its loss cost his session.
 */
export function bindsAgents({
  mode,
  sessionLost,
}: {
  readonly mode: PoolMode;
  readonly sessionLost: Pick<SessionLostPolicy, 'answer'>;
}): boolean {
  return mode === 'sticky' || sessionLost.answer === 'fault';
}

export interface PoolMatch {
  /** Lower case, without port; empty means any. */
  readonly hosts: readonly string[];
  /** Prefixes on segment borders; `/` means any. */
  readonly paths: readonly string[];
}

interface Rule<P> {
  readonly host: string | undefined;
  readonly path: string;
  readonly pool: P;
}

/**
 * Finds the pool of a request: a named host before any host, then the longest
 * path prefix.
 */
export class PoolTable<P> {
  readonly #rules: readonly Rule<P>[];
  /** Where one pool serves everything there is nothing to look for. */
  readonly #only: P | undefined;

  constructor(entries: readonly { readonly match: PoolMatch; readonly pool: P }[]) {
    this.#rules = entries
      .flatMap(({ match, pool }) =>
        (match.hosts.length === 0 ? [undefined] : match.hosts).flatMap((host) =>
          match.paths.map((path): Rule<P> => ({ host, path, pool })),
        ),
      )
      .sort(
        (a, b) =>
          Number(b.host !== undefined) - Number(a.host !== undefined) || b.path.length - a.path.length,
      );
    const [first] = this.#rules;
    this.#only =
      this.#rules.length === 1 && first?.host === undefined && first?.path === '/' ? first.pool : undefined;
  }

  /** @param path origin form, query included */
  find(host: string | undefined, path: string): P | undefined {
    if (this.#only !== undefined) return this.#only;
    const name = host === undefined ? undefined : hostname(host);
    return this.#rules.find(
      (rule) => (rule.host === undefined || rule.host === name) && startsWithPath(path, rule.path),
    )?.pool;
  }
}

function hostname(host: string): string {
  return host.replace(/:\d*$/, '').toLowerCase();
}

/** `/ici` covers `/ici`, `/ici/x` and `/ici?x`, and not `/icing`. */
function startsWithPath(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  if (prefix.endsWith('/') || path.length === prefix.length) return true;
  const next = path.charAt(prefix.length);
  return next === '/' || next === '?';
}
