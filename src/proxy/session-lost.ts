import type { AgentOperations, OperationRequest } from './agent-operations.ts';
import type { Pool } from './pool.ts';
import type { RoutedRequest } from './request-context.ts';

/**
 * Must the agent of a moved binding be told that the session was lost with its instance? Not if the agent logs on again
 * anyway.
 */
export async function mustReportLoss(
  request: Pick<RoutedRequest, 'isLogon'> & OperationRequest,
  {
    sessionLost,
    operations,
  }: Pick<Pool, 'sessionLost'> & { readonly operations: Pick<AgentOperations, 'isLogon'> },
): Promise<boolean> {
  if (sessionLost === 'pass') return false;
  return !(request.isLogon ?? (await operations.isLogon(request)));
}
