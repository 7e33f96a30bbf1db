import type { ErrorCode } from '../core/errors.ts';
import type { Identifier } from './identify.ts';
import type { Pool } from './pools.ts';
import { bindsAgents } from './pools.ts';
import type { RequestContext } from './request-context.ts';
import type { Router } from './router.ts';

/** Names in the body, and the address, as far as they are needed. Returns why the request must be refused, or `undefined`. */
export async function identifyAgent(
  context: RequestContext,
  pool: Pool,
  identifier: Identifier,
  router: Router,
): Promise<ErrorCode | undefined> {
  if (!bindsAgents(pool)) return undefined;
  if (identifier.needsBody(context, isKnown(pool, context, router))) {
    const refusal = await identifier.readBody(context);
    if (refusal !== undefined) return refusal;
  }
  // Also beside a session, which may turn out to name no agent.
  if (context.user === undefined && pool.anonymous === 'address') identifier.readAddress(context);
  return undefined;
}

/** By a session alone. */
function isKnown(pool: Pool, context: RequestContext, router: Router): boolean {
  if (context.session === undefined || context.user !== undefined) return false;
  const entry = router.known(pool, context);
  if (entry === undefined) return false;
  const { routingState, bindings } = pool;
  return bindings.isTrusted(
    entry,
    routingState,
    routingState.modeAt(performance.now(), Date.now()) === 'degraded',
  );
}
