import * as Type from 'typebox';
import type { AdminServerOptions } from './admin-options.ts';
import type { AdminRoutes } from './route.ts';
import { refusal } from './schemas/refusals.ts';
import { StatusStreams } from './status-streams.ts';

// They change with every request, probe or second, without anything having happened. `at`: of the last probe.
const NO_NEWS = new Set([
  ...[
    'answers',
    'at',
    'cachedBindings',
    'identitySources',
    'inFlight',
    'leaseRemainingMs',
    'parked',
    'queued',
    'traffic',
  ],
]);

const STREAM = Type.String({
  description: 'events of the kind status, whose data is what GET /status answers',
});

/** The status as it changes, for the console. */
export function addStreamRoute(routes: AdminRoutes, { status }: Pick<AdminServerOptions, 'status'>): void {
  const streams = new StatusStreams({
    look: () => {
      const now = status();
      const news = JSON.stringify(now, (key, value: unknown) => (NO_NEWS.has(key) ? undefined : value));
      return { status: now, news };
    },
  });
  // They would keep the server from closing.
  routes.addHook('preClose', async () => streams.close());
  routes.get(
    '/status/stream',
    {
      // A HEAD request would open a stream that is never read.
      exposeHeadRoute: false,
      schema: {
        summary: 'the status as server-sent events: at once, after each change, and at least every 5 s',
        tags: ['status'],
        response: {
          200: { description: 'events', content: { 'text/event-stream': { schema: STREAM } } },
          503: refusal('there are too many streams, or the gateway is stopping'),
        },
      },
      config: { role: 'viewer' },
    },
    async ({ caller }, reply) => {
      const stream = streams.open(() => caller?.isStillAllowed() === true);
      if (stream === undefined)
        return reply.code(503).send({ error: 'there are too many streams of the status; ask GET /status' });
      // The connection ends with the stream, and nothing on the way collects events.
      return (
        reply
          .type('text/event-stream')
          .headers({ 'cache-control': 'no-store', connection: 'close', 'x-accel-buffering': 'no' })
          // Fastify sends what the stream holds.
          .send(stream as unknown as string)
      );
    },
  );
}
