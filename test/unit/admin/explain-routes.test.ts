import Fastify from 'fastify';
import { describe, expect, test } from 'vitest';
import { addExplainRoutes } from '../../../src/admin/explain-routes.ts';
import type { PoolSource } from '../../../src/admin/pool-source.ts';
import { answerErrors } from '../../../src/admin/request-errors.ts';
import type { AdminRoutes } from '../../../src/admin/route.ts';
import { ActRefused } from '../../../src/core/act-refused.ts';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import type { Logger } from '../../../src/telemetry/logger.ts';

const SENT = 30;
/** Two are worked on, and twenty wait. */
const REFUSED = SENT - 22;

/** A pool whose questions all wait, and end with the error. */
function slowPool(error: Error): { pool: PoolSource; begun: () => number; end: () => void } {
  let begun = 0;
  let end = (): void => undefined;
  const waiting = new Promise<never>((_, reject) => {
    end = () => reject(error);
  });
  waiting.catch(() => undefined);
  const wait = (): Promise<never> => {
    begun += 1;
    return waiting;
  };
  const pool = { name: 'ici', explain: wait, operations: { agreed: { epoch: 1 } }, bindings: { list: wait } };
  return { pool: pool as unknown as PoolSource, begun: () => begun, end };
}

function serve(pool: PoolSource, logged: unknown[] = []) {
  const fastify = Fastify();
  fastify.setErrorHandler(answerErrors({ error: (line: unknown) => logged.push(line) } as unknown as Logger));
  addExplainRoutes(fastify as unknown as AdminRoutes, {
    pools: [pool],
    readers: { name: () => ({ kind: 'user', value: 'MILLER' }) } as never,
  });
  return fastify;
}

describe.each([
  ['explain', { user: 'MILLER' }],
  ['what-if', { change: 'instance-dies', instance: 'a' }],
])('many questions at once, to %s,', (path, payload) => {
  test('are worked on two at a time, and those that cannot wait are told when to try again', async () => {
    const { pool, begun, end } = slowPool(new StoreUnavailable('redis: gone'));
    const fastify = serve(pool);
    const url = `/pools/ici/${path}`;
    let answered = 0;
    let refused = (): void => undefined;
    const areRefused = new Promise<void>((resolve) => {
      refused = resolve;
    });
    const asking = Array.from({ length: SENT }, async () => {
      const answer = await fastify.inject({ method: 'POST', url, payload });
      answered += 1;
      if (answered === REFUSED) refused();
      return answer;
    });
    await areRefused;
    expect(begun()).toBe(2);
    end();
    const answers = await Promise.all(asking);

    const tooMany = answers.filter(({ statusCode }) => statusCode === 429);
    expect(tooMany).toHaveLength(REFUSED);
    for (const { headers, body } of tooMany) {
      expect(headers['retry-after']).toBe('3');
      expect(body).toContain('too many');
    }
    // Nothing was changed, so no event log tells of it.
    const others = answers.filter(({ statusCode }) => statusCode !== 429);
    for (const { statusCode, body } of others)
      expect([statusCode, JSON.parse(body)]).toEqual([503, { error: 'the store is away: redis: gone' }]);
    await fastify.close();
  });
});

test.each([
  ['a worker that is too slow', new ActRefused(503, 'too slow: try again'), 503, 'too slow: try again', 0],
  ['a bug', new TypeError('x is not a function'), 500, 'the gateway failed; see its log', 1],
])('%s is told as such', async (_what, error, status, text, lines) => {
  const { pool, end } = slowPool(error);
  const logged: unknown[] = [];
  const fastify = serve(pool, logged);
  end();
  const answer = await fastify.inject({
    method: 'POST',
    url: '/pools/ici/explain',
    payload: { user: 'MILLER' },
  });
  expect([answer.statusCode, JSON.parse(answer.body)]).toEqual([status, { error: text }]);
  expect(logged).toHaveLength(lines);
  await fastify.close();
});
