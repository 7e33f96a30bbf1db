import type { GatewayStatus, InstanceStatus, PoolStatus } from '../core/gateway-status.ts';

/** The instances of all pools, in the form in which a Web Dispatcher lists its application servers. */
export function serverList({ pools }: GatewayStatus): Record<string, string | number>[] {
  return pools.flatMap((pool) => pool.instances.map((instance) => server(pool, instance)));
}

function server(pool: PoolStatus, instance: InstanceStatus): Record<string, string | number> {
  const { hostname, protocol, port } = new URL(instance.url);
  const isSecure = protocol === 'https:';
  const portNumber = port === '' ? (isSecure ? 443 : 80) : Number(port);
  const here = { port: portNumber, connections: instance.inFlight };
  const nowhere = { port: 0, connections: 0 };
  const [plain, secure] = isSecure ? [nowhere, here] : [here, nowhere];
  // The constant 0 values are not counted per instance here; /metrics has times and totals.
  return {
    sid: pool.name,
    instance: instance.id,
    hostname,
    protocol: isSecure ? 'HTTPS' : 'HTTP',
    type: pool.mode,
    status: serverStatus(instance),
    capacity: instance.weight,
    load: instance.inFlight + instance.queued,
    port: plain.port,
    'cur-conn': plain.connections,
    'peak-conn': 0,
    'max-conn': 0,
    'sec-port': secure.port,
    'sec-cur-conn': secure.connections,
    'sec-peak-conn': 0,
    'sec-max-conn': 0,
    'req-cnt-stateless': 0,
    'req-cnt-stateful': 0,
    'req-cnt-group': 0,
    'resp-time-min': 0,
    'resp-time-avg': 0,
    'resp-time-last': 0,
    'ping-time-last': 0,
  };
}

/** One word for health, enablement and quarantine; the strongest reason against sending requests wins. */
function serverStatus({ admin, health, quarantined, active }: InstanceStatus): string {
  if (admin === 'disabled') return 'DISABLED';
  if (health !== 'up') return health === 'down' ? 'DOWN' : 'UNKNOWN';
  if (quarantined) return 'QUARANTINED';
  if (admin === 'draining') return 'DRAINING';
  return active ? 'ACTIVE' : 'STANDBY';
}
