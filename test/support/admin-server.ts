import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import type { AdminServerOptions } from '../../src/admin/admin-options.ts';
import { createAdminServer } from '../../src/admin/admin-server.ts';
import type { OpenApiDocument } from '../../src/admin/openapi.ts';
import { StatePages } from '../../src/core/state-page.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { accessWith } from './access.ts';

/** An admin server without pools, for what does not depend on them. Its token is `token`. */
export function bareAdminServer(options: Partial<AdminServerOptions> = {}): FastifyInstance {
  const act = async () => ({ ok: true }) as const;
  return createAdminServer({
    pools: [],
    console: { files: new Map(), prefixes: [] },
    access: accessWith('token'),
    tls: undefined,
    maxConnections: 1_000,
    metricsRole: 'public',
    readers: { name: () => undefined, key: () => '', show: () => '', duration: () => undefined },
    logger: pino({ level: 'silent' }),
    metrics: new Metrics({ processMetrics: false }),
    lifecycle: { maintain: act, stop: act, restart: act, reload: act },
    state: () => 'Running',
    recordGatewayEvent: async () => {},
    status: () => {
      throw new Error('this server has no status');
    },
    previewReload: async () => {
      throw new Error('this server has no configuration');
    },
    gateways: async () => ({ gateways: [], partial: false, reason: null }),
    recentRequests: async () => [],
    errorCount: () => 0,
    scrape: async () => '',
    incident: {
      lines: () => [],
      ended: (withinMs) => ({ withinMs, ended: 0, errors: [] }),
      storeVersion: async () => 'embedded',
      formats: {},
    },
    via: 'ici-gateway',
    statePages: new StatePages({ prefixes: [], alwaysOk: false }),
    config: {},
    options: [],
    ...options,
  });
}

/** What `GET /openapi.json` answers. */
export async function adminDocument(): Promise<OpenApiDocument> {
  const server = bareAdminServer();
  const { body } = await server.inject({ url: '/openapi.json', headers: { authorization: 'Bearer token' } });
  await server.close();
  return JSON.parse(body);
}
