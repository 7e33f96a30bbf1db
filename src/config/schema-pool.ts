import * as Type from 'typebox';
import { choice, count, duration, flag, path, reload, restart, section, text, written } from './option.ts';
import { groups, maxAgents, rebalance } from './schema-groups.ts';
import { health } from './schema-health.ts';

export const NAME = '^[A-Za-z0-9._-]{1,64}$';
export const NAME_EXPECTS = 'a name of 1 to 64 letters, digits, ".", "_" and "-"';

// NCName of Namespaces in XML 1.0, without a list of all letters of all scripts.
export const XML_NAME = '^[A-Za-z_\\u0080-\\uFFFF][A-Za-z0-9._\\u0080-\\uFFFF-]*$';
export const XML_NAME_EXPECTS = 'the name of an element without prefix, such as userId';

/** TLS for connections that the gateway opens. */
export function clientTls(peer: string) {
  return section(`TLS to ${peer}.`, {
    caFile: reload(
      Type.Optional(
        path(
          `PEM file with the authorities that are trusted to issue the certificate of ${peer}. Default: those of Node.`,
        ),
      ),
    ),
    certFile: reload(
      Type.Optional(
        path(`PEM file with the certificate that the gateway shows to ${peer}. Needs \`keyFile\`.`),
      ),
    ),
    keyFile: reload(
      Type.Optional(path('PEM file with the private key of `certFile`, readable by the gateway alone.')),
    ),
    serverName: reload(
      Type.Optional(
        written(
          'host',
          `Name that the certificate of ${peer} must have, also sent as SNI. Default: the host of the URL.`,
        ),
      ),
    ),
    verify: reload(
      flag(
        `Check the certificate of ${peer}. Without the check, anyone who can answer in its place can read and change everything. Turn it off only to find a fault.`,
        true,
      ),
    ),
  });
}

const match = section(
  'Which requests the pool serves. If several pools match, the one that names the host wins, then the one with the longest path.',
  {
    hosts: reload(
      Type.Array(written('host', 'A host name without port.'), {
        default: [],
        uniqueItems: true,
        description: 'Host names, without port, in any letter case. Empty: every host.',
      }),
    ),
    paths: reload(
      Type.Array(
        text('A path prefix.', {
          pattern: '^/[^?#\\s]*$',
          expects: 'a path that starts with "/", without "?" and "#"',
        }),
        {
          default: ['/'],
          minItems: 1,
          uniqueItems: true,
          description:
            'Path prefixes, compared by whole segments: `/ici` matches `/ici` and `/ici/x` but not `/icicle`.',
        },
      ),
    ),
  },
);

const instance = section('One connector process.', {
  id: reload(
    text(
      'Name of the instance. Bindings are stored under it: keep it if only the address changes, and change it if another connector takes its place.',
      {
        pattern: NAME,
        expects: NAME_EXPECTS,
      },
    ),
  ),
  url: restart(
    'instanceUrl',
    written('instanceUrl', 'Where the instance listens: scheme, host and port, nothing else.'),
  ),
  commonUrl: reload(
    Type.Optional(
      written(
        'instanceUrl',
        'Needed only if gateways reach the instance at different addresses: the same text at each gateway, which they compare instead of `url`. Gateways that share a store and differ in it do not serve the pool.',
      ),
    ),
  ),
  weight: reload(
    Type.Number({
      minimum: 0,
      maximum: 1000,
      default: 1,
      description:
        'Share of new agents, relative to the other instances. With 0 the instance takes no new agents and keeps those it has.',
    }),
  ),
  priority: reload(
    Type.Integer({
      minimum: 1,
      maximum: 1000,
      computed: 'position',
      description: 'Order in a failover pool: the usable instance with the lowest number is active.',
    }),
  ),
  maxInFlight: reload(
    count(
      'Requests in progress at the instance, from one worker; additional ones queue, and clients that do not read or send for a second give way to them. The last tenth is for addresses that have less than a tenth.',
      1,
      100_000,
      200,
    ),
  ),
  maxAgents,
  admin: reload(
    choice(
      ['enabled', 'draining', 'disabled'],
      'Initial state of the instance: `draining` keeps its agents and takes no new ones, `disabled` gets no requests. A state that an operator sets on the admin plane overrides it; it is kept in the store and holds for every gateway.',
      {
        default: 'enabled',
      },
    ),
  ),
  tls: reload(Type.Optional(clientTls('the instance'))),
});

const sessionLost = section(
  'How the gateway answers an agent whose session was lost because the instance restarted or is gone.',
  {
    answer: reload(
      choice(
        ['pass', 'fault'],
        '`pass`: the request goes to the new instance, which answers as if the agent were not logged on. `fault`: every request except a logon is answered with a SOAP Fault that asks the agent to log on again. A failover pool then binds its agents too, to know which of them need this answer.',
        { default: 'pass' },
      ),
    ),
    logonOperations: reload(
      Type.Array(text('Local name of an operation.', { pattern: XML_NAME, expects: XML_NAME_EXPECTS }), {
        default: [],
        uniqueItems: true,
        description:
          'Older spelling of `identity.logon` for this pool: local names of operations that log an agent on. These and those of `identity.logon` pass if `answer` is `fault`. Unlike there, names in their bodies do not count more than in others.',
      }),
    ),
  },
);

export const pool = section('Instances that serve one ICI endpoint.', {
  name: reload(
    text('Name of the pool, in metrics, logs and keys of the store.', {
      pattern: NAME,
      expects: NAME_EXPECTS,
    }),
  ),
  match,
  mode: restart(
    'poolMode',
    choice(
      ['failover', 'sticky'],
      '`failover`: all requests go to one active instance, and the next takes over when it fails. `sticky`: agents are spread over all instances, and each agent stays at one.',
      { default: 'failover' },
    ),
  ),
  balancer: reload(
    choice(
      ['rendezvous', 'round-robin', 'least-bound', 'least-in-flight', 'random'],
      'How a sticky pool places new agents. `rendezvous` computes the place from the name, so gateways agree even without a store; `least-bound` takes the instance with the fewest agents for its weight, `least-in-flight` the one with the fewest requests in progress. A failover pool does not use it.',
      { default: 'rendezvous' },
    ),
  ),
  groups,
  rebalance,
  anonymous: reload(
    choice(
      ['any', 'address', 'refuse'],
      'What happens to a request that names no agent. `any`: the active instance of a failover pool, any assignable one of a sticky pool. `address`: it is bound by client address, together with all agents behind that address. `refuse`: it is answered with a SOAP Fault.',
      { default: 'any' },
    ),
  ),
  connections: reload(
    choice(
      ['keep-alive', 'per-request'],
      'Connections to instances: kept for the next request, or a new one for each request if a connector needs that. The latter costs more than twice the CPU.',
      { default: 'keep-alive' },
    ),
  ),
  instances: reload(
    Type.Array(instance, {
      minItems: 1,
      description: 'The instances of the pool, the preferred one first.',
    }),
  ),
  health,
  failback: reload(
    written(
      'failback',
      'When a failover pool returns to a preferred instance that is up again: `never`, `when-idle` (no request for `idleAfter`, at any gateway), `immediate`, or once a day, as in `at 03:30`; if clocks skip that time, right after it, and if they show it twice, the first time. Agents at the active instance must then log on again. A policy that an operator sets on the admin plane overrides it.',
      { default: 'never' },
    ),
  ),
  failbackZone: reload(
    written('zone', 'IANA time zone in which the time of day of `failback` is meant.', {
      computed: 'zone',
    }),
  ),
  idleAfter: reload(
    duration('How long a failover pool must have had no request to count as idle.', {
      default: '5m',
      atLeast: '1s',
    }),
  ),
  quarantine: reload(
    choice(
      ['auto', 'always', 'never'],
      'An instance that was only cut off may still treat its old agents as logged on, and send SAP events for them. So an instance that comes back takes no agents until its health page shows that it is new or empty, or an operator releases it. `auto`: only if `health` has an option that can show this; `always`: also if only an operator can release it; `never`: it takes agents at once.',
      { default: 'auto' },
    ),
  ),
  countRestarts: reload(
    flag(
      'If the health page shows no incarnation, a return from down counts as a restart, and voids the bindings to the instance.',
      true,
    ),
  ),
  sessionLost,
});
