import type { Static } from 'typebox';
import * as Type from 'typebox';
import type { OptionNode } from './option.ts';
import {
  choice,
  count,
  duration,
  flag,
  path,
  reload,
  restart,
  section,
  TOKEN,
  TOKEN_EXPECTS,
  text,
  written,
} from './option.ts';
import { admin } from './schema-admin.ts';
import { coordination } from './schema-coordination.ts';
import { identity } from './schema-identity.ts';
import { lifecycle, maintenance, statePage } from './schema-lifecycle.ts';
import { limits, timeouts } from './schema-limits.ts';
import { peers } from './schema-peers.ts';
import { pool } from './schema-pool.ts';
import { redis } from './schema-redis.ts';
import { sapcontrol } from './schema-sapcontrol.ts';
import { tlsProtocol } from './schema-tls.ts';

/**
 * Every option there is. Defaults, bounds and descriptions stand here and
 * nowhere else: the loader, the JSON Schema for editors and the table in
 * `deploy/docs/configuration.md` are all made from this.
 *
 * Options have units in the file (`2s`, `64KB`) and resolve to milliseconds and bytes. The type `Config` is that of the
 * resolved configuration.
 */

const listen = section('Where SAP CRM connects.', {
  address: reload(
    written(
      'address',
      'Host and port of the data plane. Port 0 takes any free one; `0.0.0.0` is every IPv4 interface.',
      {
        default: '127.0.0.1:8080',
      },
    ),
  ),
  tls: restart(
    'listenerTls',
    Type.Optional(
      section('TLS towards clients. Without it the data plane speaks plain HTTP.', {
        certFile: reload(
          path('PEM file with the certificate of the gateway, followed by its intermediates.'),
        ),
        keyFile: reload(path('PEM file with the private key of `certFile`, readable by the gateway alone.')),
        clientCaFile: reload(
          Type.Optional(
            path(
              'PEM file with the authorities of client certificates. If set, every client must show a certificate issued by one of them (mutual TLS); all others are refused in the handshake.',
            ),
          ),
        ),
        ticketKeyFile: reload(
          Type.Optional(
            path(
              'File with a secret of 32 or more characters from which the keys of session tickets are made. Gateways with the same secret resume each other’s TLS sessions, so a client that connects to another gateway needs no full handshake. By default each gateway has a secret of its own, in memory, which all its workers use.',
            ),
          ),
        ),
        ...tlsProtocol,
      }),
    ),
  ),
  proxyProtocol: restart(
    'proxyHeader',
    choice(
      ['off', 'accept', 'require'],
      'PROXY protocol (version 1 or 2), with which a balancer that forwards TCP names the client. `off`: not expected. `accept`: connections from `proxyProtocolFrom` must begin with its header; on other connections it is optional and ignored. `require`: as `accept`, but other connections are closed.',
      { default: 'off' },
    ),
  ),
  proxyProtocolFrom: restart(
    'clientAddress',
    Type.Array(written('network', 'A network or an address.'), {
      default: [],
      uniqueItems: true,
      description:
        'Networks of the balancers that speak the PROXY protocol. The address in the header then counts as the address of the peer: for `forwarding.trustedProxies`, `X-Forwarded-For`, the log and binding by address. No client may be in these networks, because it could pose as any other.',
    }),
  ),
});

const affinity = section('Where bindings of agents to instances are stored.', {
  store: restart(
    'store',
    choice(
      ['redis', 'embedded'],
      '`redis`: shared by several gateways. `embedded`: a database of this host, for a single gateway. Gateways with embedded stores do not share bindings, and would send one agent to two instances.',
      {
        computed: 'store',
      },
    ),
  ),
  idleLifetime: reload(
    duration(
      'How long a binding lasts after the last request of its agent. Set it longer than the longest break in a shift.',
      {
        default: '12h',
        atLeast: '1s',
      },
    ),
  ),
  keyPrefix: restart(
    'store',
    text('Start of every key in the store. Gateways with the same prefix and pool names share bindings.', {
      default: 'ici-gateway',
      pattern: '^[A-Za-z0-9._:-]{1,64}$',
      expects: 'up to 64 letters, digits, ".", "_", ":" and "-"',
    }),
  ),
  cacheEntries: reload(
    count(
      'Bindings kept in memory, per process and pool. Each request of an agent beyond them needs a round trip to the store.',
      100,
      10_000_000,
      200_000,
    ),
  ),
  maxBindings: reload(
    count(
      'Names that a pool may have in the store: users, sessions and addresses, at about 300 bytes each. An agent has one and up to 8 more. Beyond that, a new name takes the place of one that came with a single request so far; if there is none, an agent who is not bound gets 503 `GW_BINDINGS_FULL`. Those who are bound lose nothing.',
      100,
      100_000_000,
      1_000_000,
    ),
  ),
  onStoreLoss: reload(
    choice(
      ['continue', 'refuse'],
      'While the store is away. `continue`: known agents are served from memory, new ones are placed by rendezvous hashing. `refuse`: known agents are served for as long as the lease holds (`coordination.lease`), then every request of the pool gets a SOAP Fault until the store is back.',
      { default: 'continue' },
    ),
  ),
  stateDir: restart(
    'embeddedStore',
    path(
      'Directory of the embedded store, or of the snapshot. An embedded store creates it if it is missing; a snapshot does not. Not on a network file system.',
      { computed: 'stateDir' },
    ),
  ),
  snapshot: reload(
    flag(
      'Keep a copy of bindings, view and decisions of operators in `affinity.stateDir`, if that directory exists. If Redis has lost everything and all gateways start again, agents stay at their instances. For stores in Redis; an embedded store is on disk already.',
      true,
    ),
  ),
  redis: restart('redis', Type.Optional(redis)),
});

const forwarding = section('What the gateway changes in a request on its way to an instance.', {
  trustedProxies: restart(
    'clientAddress',
    Type.Array(written('network', 'A network or an address.'), {
      default: [],
      uniqueItems: true,
      description:
        'Networks of the load balancers in front, whose `X-Forwarded-*` is trusted. If a balancer speaks the PROXY protocol, the address that it names must be in them.',
    }),
  ),
  untrusted: reload(
    choice(
      ['ignore', 'refuse'],
      'What happens to `X-Forwarded-*`, `Forwarded`, `X-Real-IP`, `X-Client-IP`, `X-Cluster-Client-IP` and `True-Client-IP` from a peer that is not a trusted proxy. `ignore`: the gateway drops them, and writes what it knows itself. `refuse`: it answers 403.',
      { default: 'ignore' },
    ),
  ),
  lookAlikes: reload(
    choice(
      ['drop', 'keep'],
      'What happens to header fields from any peer that differ only by underscores from fields with a meaning for proxies, such as `Transfer_Encoding` or `X_Forwarded_For`. Some servers take them for the real ones.',
      { default: 'drop' },
    ),
  ),
  host: reload(
    choice(
      ['client', 'instance'],
      'Host header that instances get: the one from the client, or host and port of the instance.',
      { default: 'client' },
    ),
  ),
  requestIdHeader: reload(
    text(
      'Header with the id of the request. Taken from a trusted proxy, otherwise generated; sent to the instance and back to the client.',
      {
        default: 'x-request-id',
        pattern: TOKEN,
        expects: TOKEN_EXPECTS,
      },
    ),
  ),
  via: reload(
    text(
      'Name of the gateway in `Via` (RFC 9110 §7.6.3). Gateways with the same instances have the same name. A request, or a probe, that arrives with it has come back, and gets 508 `GW_LOOP`: a gateway that stands before other gateways needs another name than they have.',
      {
        default: 'ici-gateway',
        pattern: TOKEN,
        expects: TOKEN_EXPECTS,
      },
    ),
  ),
});

const faults = section('How the gateway reports its own errors.', {
  status: reload(
    choice(
      ['exact', 'soap'],
      'HTTP status of a SOAP Fault. `exact`: that of the error, such as 503. `soap`: 500 as in SOAP 1.1 §6.2, or 400 for a fault of a SOAP 1.2 sender, for clients that read a Fault only with these.',
      { default: 'exact' },
    ),
  ),
});

const logging = section('What is logged, as JSON lines on standard output.', {
  level: reload(
    choice(['trace', 'debug', 'info', 'warn', 'error', 'silent'], 'The least severe level that is logged.', {
      default: 'info',
    }),
  ),
  requests: reload(flag('One line per request, at level `info`.', true)),
  names: reload(
    choice(
      ['readable', 'hashed'],
      'User names in logs: readable, so that "where is agent MILLER?" can be answered, or as keyed hashes. Sessions are always hashed.',
      {
        default: 'readable',
      },
    ),
  ),
});

export const ConfigSchema = section('Configuration of ici-gateway.', {
  workers: restart(
    'singleProcess',
    Type.Integer({
      minimum: 0,
      maximum: 64,
      computed: 'workers',
      description:
        'Number of worker processes, which carry traffic. Beside them run a controller, which probes instances and serves the admin plane, and a supervisor, which holds the ports and restarts processes that exit. 0: a single process does everything.',
    }),
  ),
  listen,
  admin,
  sapcontrol: reload(Type.Optional(sapcontrol)),
  pools: reload(
    Type.Array(pool, {
      minItems: 1,
      expects: 'a list of one or more pools, each with a name and instances',
      description: 'The pools. Most installations need one.',
    }),
  ),
  identity,
  affinity,
  coordination,
  peers: reload(Type.Optional(peers)),
  timeouts,
  limits,
  forwarding,
  faults,
  lifecycle,
  statePage,
  maintenance,
  logging,
});

/** The schema as data, for code that walks over all options. */
export const OPTIONS = ConfigSchema as unknown as OptionNode & {
  readonly properties: Readonly<Record<string, OptionNode>>;
};

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** The resolved configuration: every default filled in, durations in milliseconds, sizes in bytes. Frozen. */
export type Config = DeepReadonly<Static<typeof ConfigSchema>>;
export type PoolConfig = Config['pools'][number];
export type InstanceConfig = PoolConfig['instances'][number];
export type HealthConfig = PoolConfig['health'];
export type ClientTlsConfig = NonNullable<InstanceConfig['tls']>;
export type ListenerTlsConfig = NonNullable<Config['listen']['tls']>;
export type AdminConfig = Config['admin'];
export type AffinityConfig = Config['affinity'];
export type SapControlConfig = NonNullable<Config['sapcontrol']>;
export type RedisConfig = NonNullable<AffinityConfig['redis']>;
