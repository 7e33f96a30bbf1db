import * as Type from 'typebox';
import { count, nullable, time, timeOrNull, word } from './fields.ts';
import { SOURCE_SHARE } from './seen-names.ts';

/** The schemas of `GatewayStatus` and its parts in `core/gateway-status.ts`, whose names the titles are. */

const ACT = Type.Object(
  {
    by: Type.String({ description: 'the operator' }),
    why: Type.String({ description: 'the reason that the operator gave' }),
    at: time('when the change was made'),
    deadline: timeOrNull('the latest end of a drain; null without a deadline'),
  },
  { title: 'ActStatus', description: "the operator's change that determines the state of an instance" },
);

const ADMIN_STATE = word(['enabled', 'draining', 'disabled'], { description: 'what operators want of it' });

const PROBE = Type.Object(
  {
    at: time('when it ended'),
    ok: Type.Boolean({ description: 'the instance passed' }),
    text: nullable(Type.String(), 'what failed; null if the instance passed'),
  },
  { title: 'ProbeStatus', description: "this gateway's last probe of an instance" },
);

const ANSWERS = Type.Object(
  {
    since: time('the first probe that counts'),
    watchedSeconds: count('for how long the instance was watched without a restart'),
    p50Ms: Type.Number({ description: 'half of the probes were answered within this time' }),
    p99Ms: Type.Number({ description: '99 of 100 probes were' }),
    longest: nullable(
      Type.Object({ ms: Type.Integer(), at: time('when it ended') }),
      'the longest time without a passed probe after which the instance passed one without having restarted; null before the first',
    ),
  },
  { title: 'AnswersStatus', description: 'how soon an instance answered the probes of the last seven days' },
);

const PROBES = Type.Object(
  {
    since: timeOrNull('since when every instance has been watched; null if one has not'),
    watchedSeconds: count('for how long the instance was watched that was watched least'),
    settings: Type.Array(
      Type.Object({
        profile: nullable(
          word(['careful', 'balanced', 'fast']),
          'of `health.profile`; null for values that are no profile',
        ),
        present: Type.Boolean({ description: 'it is in effect' }),
        pauseMs: Type.Number({
          description: 'the shortest time without any answer that can turn an instance down',
        }),
        detectionMs: Type.Integer({
          description: 'about how long it takes until an instance that hangs counts as down',
        }),
        losses: count('how often an instance could have counted as down that had not restarted'),
      }),
      { description: 'the slowest first' },
    ),
    safeAboveMs: nullable(
      Type.Integer(),
      'with a `timeout` × `fall` above it, no pause would have turned an instance down; null without any answer',
    ),
    advice: word(['unsure', 'keep', 'careful', 'balanced', 'fast'], {
      description: 'unsure: an instance was watched for less than a day; else the profile to change to',
    }),
    text: Type.String({ description: 'the same in words' }),
  },
  {
    title: 'ProbesStatus',
    description: "what this gateway's probes of the last seven days say about `health.profile`",
  },
);

const REPORT = Type.Object(
  {
    replica: Type.String({ description: 'the name of the gateway among its peers' }),
    verdict: word(['up', 'down', 'abstains']),
  },
  { title: 'ReportStatus', description: 'what one gateway reports about an instance' },
);

const share = (description: string) => Type.Number({ minimum: 0, maximum: 1, description });

const GROUPS = Type.Object(
  {
    number: count('how many groups are placed there; one whose members are all away counts for a lifetime'),
    agents: count('their members, as far as they are known, whether or not they are logged on'),
    largest: nullable(Type.Object({ name: Type.String(), agents: Type.Integer() }), 'null without groups'),
  },
  { title: 'GroupsStatus' },
);

const RELAYS = Type.Object(
  {
    active: Type.Boolean({
      description: 'requests go there through peers now, because the probes of this gateway fail',
    }),
    sent: count('requests of the last 15 minutes that this gateway handed to peers'),
    taken: count('those that it took from peers'),
  },
  { title: 'RelaysStatus', description: 'the requests that go to an instance through peers' },
);

export const INSTANCE_STATUS = Type.Object(
  {
    id: Type.String(),
    url: Type.String({ description: 'scheme, host and port' }),
    admin: ADMIN_STATE,
    act: nullable(ACT, 'the change that set `admin`; null while the configuration applies'),
    health: word(['unknown', 'up', 'down'], { description: "the gateways' common verdict" }),
    healthSince: timeOrNull('since when the verdict is so; null if this gateway does not know'),
    lastProbe: nullable(PROBE, "this gateway's last probe; null until the first one has ended"),
    answers: nullable(ANSWERS, 'null until it has passed a probe of this gateway'),
    reports: Type.Array(REPORT, {
      description: 'of each gateway that has seen enough of the instance, or abstains',
    }),
    quarantined: Type.Boolean({
      description: 'it takes no new agents, because it may still hold agents that other instances serve now',
    }),
    incarnation: nullable(Type.String(), 'the present run of the instance; null if its page shows none'),
    lives: count('the number of observed starts of the instance'),
    unreachableHere: Type.Boolean({
      description: 'this gateway cannot reach the instance, although the view says that it is up',
    }),
    cutOffHere: Type.Boolean({
      description: 'the same for so long that this gateway itself counts as cut off',
    }),
    relays: nullable(RELAYS, 'null without `peers`'),
    weight: Type.Number({ description: 'the share of new agents relative to the other instances' }),
    priority: Type.Number({ description: 'failover pools: the lowest is preferred' }),
    active: Type.Boolean({ description: 'it may serve agents; in a failover pool only one does' }),
    boundAgents: count('agents that are bound to it'),
    maxAgents: nullable(Type.Integer(), 'the most agents that it should have; null without a limit'),
    groups: nullable(GROUPS, 'the groups of agents there; null if the pool has none'),
    share: share('its share of the agents that are bound in the pool'),
    weightShare: share('the share of new agents that its weight gives it now'),
    inFlight: count('requests at the instance, the ones being connected included'),
    queued: count('requests that wait for a free slot of the instance'),
  },
  { title: 'InstanceStatus', description: 'one instance of a pool' },
);

const REPLICA_STATUS = Type.Object(
  {
    replica: Type.String({ description: 'the name of the gateway among its peers' }),
    abstains: Type.Boolean({
      description: 'it withholds its health report, because its event loop lagged or its clock jumped',
    }),
    down: Type.Array(Type.String(), { description: 'the instances that it reports as down' }),
    relayAt: nullable(
      Type.String(),
      'host and port at which it takes requests of peers; null if it takes none, or abstains',
    ),
  },
  { title: 'ReplicaStatus', description: 'the health report of one live gateway' },
);

export const DIFFERENCE = Type.Object(
  {
    replica: Type.String({ description: 'the gateway that differs' }),
    part: Type.String({ description: 'such as `quorum`, or `url:a` for the URL of instance a' }),
    effect: word(['overridden', 'tolerated', 'refused'], {
      description:
        'whether that gateway uses the agreed value, uses its own because one of the two only names requests that the other does not, or does not serve the pool',
    }),
    agreed: Type.Unknown({ description: 'the agreed value' }),
    configured: Type.Unknown({ description: 'the value that this gateway configures' }),
  },
  { title: 'DifferenceStatus', description: 'a part in which a gateway differs from what is agreed' },
);

export const CONFIGURATION_STATUS = Type.Object(
  {
    agreed: nullable(
      Type.Unsafe<Readonly<Record<string, unknown>>>({ type: 'object', additionalProperties: true }),
      'the agreed values by the name of their part; null before the first agreement',
    ),
    servesHere: Type.Boolean({
      description: 'false if this gateway differs in a part that decides where agents are sent',
    }),
    missingHere: Type.Array(Type.String(), {
      description: "instances that take agents but are missing from this gateway's configuration",
    }),
    differences: Type.Array(DIFFERENCE),
  },
  { title: 'ConfigurationStatus', description: 'how the configurations of the gateways relate' },
);

const VIEW_STATUS = Type.Object(
  {
    id: Type.String({ description: 'distinguishes views, also those with the same epoch' }),
    effective: Type.Boolean({ description: 'every live gateway acts on the view' }),
    pendingSince: timeOrNull('since when this gateway waits for that; null while the view is in effect'),
  },
  { title: 'ViewStatus', description: 'what the gateways agreed on last' },
);

const ACTIVE = Type.Object({
  instance: Type.String({ description: 'the active instance' }),
  since: time('since when it is active'),
});

const FAILBACK = Type.Object({
  policy: Type.String({ description: 'never, when-idle, immediate, or at HH:MM' }),
  zone: nullable(Type.String(), 'the IANA time zone of a time of day'),
  by: word(['configuration', 'operator'], { description: 'who set the policy' }),
});

const REBALANCE = Type.Object({
  until: timeOrNull('null if the configuration says so, without an end'),
  by: Type.String({ description: 'the operator, or `configuration`' }),
  why: Type.String({ description: 'the reason that the operator gave' }),
});

const CLAIMS_FAIL = Type.Object({
  since: time('since when'),
  error: Type.String({ description: "the store's error" }),
});

const POOL_STATUS = Type.Object(
  {
    name: Type.String(),
    mode: word(['failover', 'sticky']),
    balancer: nullable(
      word(['rendezvous', 'round-robin', 'least-bound', 'least-in-flight', 'random']),
      'what proposes instances to new agents; null in a failover pool',
    ),
    epoch: count('the number of the view'),
    settled: Type.Boolean({
      description: 'false until every instance is known to be up or down, or the time for that is over',
    }),
    view: VIEW_STATUS,
    configuration: CONFIGURATION_STATUS,
    active: nullable(ACTIVE, 'failover pools: the active instance; null if there is none'),
    failback: nullable(FAILBACK, 'failover pools: when the pool returns to a preferred instance'),
    rebalance: nullable(
      REBALANCE,
      'agents move to instances with fewer agents as they log on again; null if they do not',
    ),
    groupFileProblem: nullable(
      Type.Object({ since: time('since when'), reason: Type.String() }),
      'why the changed file of groups is not used: its last valid content counts; null if it is used, or there is none',
    ),
    standing: word(['leased', 'waiting', 'storeless'], {
      description: 'by which right this gateway acts: storeless means that the store is away',
    }),
    leaseRemainingMs: nullable(Type.Integer(), 'the rest of the lease; null if the gateway has no peers'),
    probes: PROBES,
    replicas: Type.Array(REPLICA_STATUS, { description: 'the gateways that take part' }),
    parked: count('requests that wait for an instance'),
    traffic: Type.Object({
      requests: count('ended requests since the gateway started'),
      faults: count('those of them that were answered with a status from 500'),
    }),
    identitySources: Type.Array(SOURCE_SHARE, {
      description:
        'where the requests of the last hour named their agents; empty in pools that bind no agents, and without requests',
    }),
    affinity: Type.Object({
      available: Type.Boolean({ description: 'the store answers, including operations on bindings' }),
      cachedBindings: count('bindings in the memory of this gateway'),
      claimsFail: nullable(CLAIMS_FAIL, 'since when operations on bindings fail; null if they do not'),
    }),
    instances: Type.Array(INSTANCE_STATUS),
  },
  { title: 'PoolStatus', description: 'one pool' },
);

export const SHOWN_STATE = word(
  ['Starting', 'Running', 'Maintenance', 'Stopping', 'Draining', 'Stopped', 'Drifted', 'Isolated'],
  { title: 'State', description: 'the state that balancers see' },
);

const ALARM = Type.Object(
  {
    id: Type.String({ description: 'the name of the alert for Prometheus, and what it concerns' }),
    severity: word(['critical', 'warning']),
    pool: nullable(Type.String(), 'null if it concerns the whole gateway'),
    instance: nullable(Type.String(), 'null if it concerns no single instance'),
    since: timeOrNull('since when, as far as this gateway knows'),
    text: Type.String({ description: 'what is wrong' }),
    remedy: Type.String({ description: 'the first thing to do' }),
    runbook: Type.String({ description: 'the section of the runbook, such as #instance-down' }),
  },
  { title: 'Alarm', description: 'a condition that an operator should know of' },
);

const CERTIFICATE = Type.Object(
  {
    option: Type.String({ description: 'the option that names its file' }),
    fingerprint: Type.String({ description: 'SHA-256' }),
    validTo: time('until when it is valid'),
  },
  { title: 'Certificate' },
);

export const STATUS = Type.Object(
  {
    state: SHOWN_STATE,
    alarms: Type.Array(ALARM, { description: 'critical ones first, and of those the oldest' }),
    version: Type.String({ description: 'of the program' }),
    host: Type.String({ description: 'the name of the machine' }),
    workers: count('configured workers; 0 for a gateway of a single process'),
    admin: Type.Object({
      advertise: nullable(Type.String(), 'the URL of the admin port for other hosts'),
    }),
    replica: Type.String({ description: "this gateway's name among its peers" }),
    shared: Type.Boolean({
      description:
        'other gateways can share the store; false for the embedded store: this gateway decides alone',
    }),
    certificates: Type.Array(CERTIFICATE, {
      description: 'the certificates that the gateway shows, as it read them at its start or last reload',
    }),
    startedAt: time('when the gateway started'),
    inFlight: count('requests in the gateway'),
    pools: Type.Array(POOL_STATUS),
  },
  { title: 'GatewayStatus', description: 'the whole state of the gateway' },
);
