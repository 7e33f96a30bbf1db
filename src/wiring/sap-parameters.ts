import type { Config, SapControlConfig } from '../config/schema.ts';
import { parseAddress } from '../config/syntax.ts';

/**
 * The configuration in effect, under the names of SAP Web Dispatcher's profile parameters. Only options with an
 * equivalent are included. Times are in seconds.
 */
export function sapParameters(
  config: Config,
  sapcontrol: SapControlConfig,
  hostname: string,
): ReadonlyMap<string, string> {
  const { listen, limits, timeouts, affinity, pools, lifecycle } = config;
  const { host = '', port = 0 } = parseAddress(listen.address) ?? {};
  const protocol = listen.tls === undefined ? 'HTTP' : 'HTTPS';
  const idle = seconds(timeouts.clientIdle);
  const total = seconds(timeouts.total);
  return new Map([
    ['SAPSYSTEMNAME', sapcontrol.sid],
    ['SAPSYSTEM', sapcontrol.instanceNumber],
    ['INSTANCE_NAME', sapcontrol.instanceName],
    ['SAPLOCALHOST', hostname],
    ['icm/server_port_0', `PROT=${protocol},PORT=${port},HOST=${host},TIMEOUT=${idle},PROCTIMEOUT=${total}`],
    ['icm/max_init_time', seconds(lifecycle.maxInitTime)],
    ['wdisp/status_poll_interval', seconds(lifecycle.statusPollInterval)],
    ['icm/keep_alive_timeout', idle],
    ['icm/max_conn', String(limits.connections)],
    ['icm/HTTP/max_request_size_KB', String(Math.floor(limits.bodyBytes / 1_024))],
    // Each pool has its own probe interval; the longest one bounds the age of a health state.
    ['wdisp/auto_refresh', seconds(Math.max(...pools.map(({ health }) => health.interval)))],
    ['wdisp/info_timeout', seconds(Math.max(...pools.map(({ health }) => health.timeout)))],
    ['wdisp/HTTP/context_timeout', seconds(affinity.idleLifetime)],
    ...pools.map((pool, index): [string, string] => [`wdisp/system_${index}`, system(pool)]),
  ]);
}

function system({ name, mode, match, instances }: Config['pools'][number]): string {
  const servers = instances.map(({ url }) => url).join(';');
  const hosts = match.hosts.length === 0 ? [] : [`SRCVHOST=${match.hosts.join(';')}`];
  return [
    `SID=${name}`,
    `EXTSRV=${servers}`,
    `SRCURL=${match.paths.join(';')}`,
    ...hosts,
    `STICKY=${mode === 'sticky'}`,
  ].join(', ');
}

function seconds(ms: number): string {
  return String(ms / 1_000);
}
