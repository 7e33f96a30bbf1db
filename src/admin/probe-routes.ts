import type { ShownState } from '../core/lifecycle.ts';
import type { AdminServerOptions } from './admin-options.ts';
import type { PoolSource } from './pool-source.ts';
import type { AdminRoutes } from './route.ts';
import { plain } from './schemas/refusals.ts';
import { claimFailures, cutOffOf, driftReasons } from './status.ts';

/** What balancers, service managers and Prometheus ask. None of it depends on the instances. */
export function addProbeRoutes(
  routes: AdminRoutes,
  {
    metrics,
    scrape,
    state,
    pools,
    metricsRole,
  }: Pick<AdminServerOptions, 'metrics' | 'scrape' | 'state' | 'pools' | 'metricsRole'>,
): void {
  routes.get(
    '/metrics',
    {
      schema: {
        summary: 'Prometheus text',
        tags: ['probes'],
        response: { 200: plain('the metrics of all processes of the gateway') },
      },
      config: { role: metricsRole },
    },
    async (_request, reply) => reply.type(metrics.registry.contentType).send(await scrape()),
  );
  routes.get(
    '/livez',
    {
      schema: {
        summary: '200 as long as the process answers',
        tags: ['probes'],
        response: { 200: plain('the word ok') },
      },
      config: { role: 'public' },
    },
    async (_request, reply) => reply.type('text/plain').send('ok\n'),
  );
  routes.get(
    '/readyz',
    {
      schema: {
        summary: '200 while the state is Running, else 503 with the state and the reason',
        tags: ['probes'],
        response: {
          200: plain('the word Running'),
          503: plain('another state, and below it the reasons'),
        },
      },
      config: { role: 'public' },
    },
    async (_request, reply) => {
      const word = state();
      return reply
        .code(word === 'Running' ? 200 : 503)
        .type('text/plain')
        .send(`${word}\n${whyUnready(word, pools)}`);
    },
  );
}

function whyUnready(word: ShownState, pools: readonly PoolSource[]): string {
  if (word === 'Isolated') {
    const cutOff = cutOffOf(pools);
    const reasons = claimFailures(pools).map((failure) => `claims fail for pool ${failure}\n`);
    return (cutOff.length > 0 ? `cut off from ${cutOff.join(', ')}\n` : '') + reasons.join('');
  }
  if (word !== 'Drifted') return '';
  return driftReasons(pools)
    .map((reason) => `${reason}\n`)
    .join('');
}
