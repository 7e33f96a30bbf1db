import { Attempt } from '../../src/proxy/attempt.ts';
import type { Upstream } from '../../src/proxy/upstream.ts';

/** Sends a request to the instance without a gateway around it, and settles it with the end of the answer. */
export function sendAttempt(
  upstream: Upstream,
  {
    instance = 'a',
    method = 'POST',
    path = '/',
    body = null,
  }: { instance?: string; method?: string; path?: string; body?: Buffer | null } = {},
): Attempt {
  if (!upstream.tryEnter('sap')) throw new Error('the instance is at its limit');
  const attempt = new Attempt(upstream, {
    path,
    headers: ['host', 'a'],
    body,
    target: { instance, incarnation: '', root: undefined, entry: undefined },
    maySend: () => true,
    isAwaited: () => true,
    sender: { network: 'sap', stalledMs: () => 0, giveWay: () => undefined },
  });
  const inner = {
    onConnect: () => undefined,
    onHeaders: () => true,
    onData: () => true,
    onComplete: () => attempt.settle('answered'),
    onError: (error: Error) => attempt.fail(error),
  };
  attempt.dispatch({ method, path: '', origin: '' }, inner as never);
  return attempt;
}
