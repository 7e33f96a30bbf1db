import type { ErrorCode } from '../core/errors.ts';
import type { Exchange } from './request-context.ts';
import type { Identifier } from './identify.ts';
import type { Pool } from './pools.ts';
import { bindsAgents } from './pools.ts';
import type { Router } from './router.ts';

/** Names in the body, and the address, as far as they are needed. Returns why the request must be refused, or `undefined`. */
export async function identifyAgent(
  exchange: Exchange,
  pool: Pool,
  identifier: Identifier,
  router: Router,
): Promise<ErrorCode | undefined> {
  if (!bindsAgents(pool)) return undefined;
  if (identifier.needsBody(exchange, isKnown(pool, exchange, router))) {
    const refusal = await identifier.readBody(exchange);
    if (refusal !== undefined) return refusal;
  }
  // Also beside a session, which may turn out to name no agent.
  if (exchange.user === undefined && pool.anonymous === 'address') identifier.readAddress(exchange);
  return undefined;
}

/** By a session alone. */
function isKnown(pool: Pool, exchange: Exchange, router: Router): boolean {
  if (exchange.session === undefined || exchange.user !== undefined) return false;
  const entry = router.known(pool, exchange);
  if (entry === undefined) return false;
  const { standing, bindings } = pool;
  return bindings.isTrusted(entry, standing, standing.modeAt(performance.now(), Date.now()) === 'storeless');
}
