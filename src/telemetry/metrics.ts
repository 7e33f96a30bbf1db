import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { Durations } from './durations.ts';
import { NameCounts } from './name-counts.ts';
import { SecondCounts } from './second-counts.ts';
import { Tally } from './tally.ts';

/**
 * All metrics of the gateway. Label values come only from limited sets such as pools, instances and decisions, never
 * from agents, sessions or paths.
 */
export class Metrics {
  readonly registry = new Registry();

  readonly requests = new Tally(
    this.registry,
    'gateway_requests_total',
    'Ended requests, by routing decision and class of the status sent',
    ['pool', 'decision', 'status_class'],
  );
  readonly requestDuration = new Durations(
    this.registry,
    'gateway_request_duration_seconds',
    'Time from the request header to the last byte of the response',
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  );
  readonly attempts = new Tally(
    this.registry,
    'gateway_attempts_total',
    'Attempts to send a request to an instance, by outcome: answered, or the kind of failure',
    ['pool', 'instance', 'outcome'],
  );
  readonly errors = this.#counter('gateway_errors_total', "The gateway's own error answers, by error code", [
    'code',
  ]);
  readonly parked = this.#counter(
    'gateway_parked_total',
    'Waits of unsent requests, by what they waited for and how the wait ended',
    ['pool', 'reason', 'outcome'],
  );
  readonly relays = this.#counter(
    'gateway_relays_total',
    'Requests that a gateway handed to a peer because it could not reach the instance (direction out), and those that it took from peers (in), by what became of them',
    ['pool', 'instance', 'direction', 'outcome'],
  );
  readonly rebinds = this.#counter(
    'gateway_rebinds_total',
    'Bindings that this gateway moved because their instance or incarnation was gone',
    ['pool'],
  );
  readonly conflicts = this.#counter(
    'gateway_affinity_conflicts_total',
    'Agents that were found bound to two instances, and are served by one of them from then on',
    ['pool'],
  );
  readonly afterLogOff = this.#counter(
    'gateway_requests_after_logoff_total',
    'Requests within 5 s after a log-off of their agent that are in no list: each keeps the binding for its whole lifetime',
    ['pool'],
  );
  readonly names = new NameCounts(this.registry);
  readonly namesReplaced = this.#counter(
    'gateway_names_replaced_total',
    'Names with a single request so far that gave way to new ones, because the pool has affinity.maxBindings names or Redis no memory',
    ['pool'],
  );
  readonly affinityOperations = new Tally(
    this.registry,
    'gateway_affinity_operations_total',
    'Operations on the affinity store, by outcome',
    ['pool', 'operation', 'outcome'],
  );
  readonly affinityDuration = this.#histogram(
    'gateway_affinity_operation_duration_seconds',
    'Duration of operations on the affinity store',
    ['pool', 'operation'],
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25],
  );
  readonly affinityAvailable = this.#gauge(
    'gateway_affinity_available',
    '1 while the affinity store answers, 0 while the gateway works without it',
    ['pool'],
  );
  readonly snapshotBindings = this.#counter(
    'gateway_snapshot_bindings_total',
    'Bindings in the snapshot when the gateway offered it to a Redis that had lost data, by outcome: restored, ended (idle for too long, or logged off), outdated (another gateway knew better), left (there was no time for them)',
    ['pool', 'outcome'],
  );
  readonly snapshotBytes = this.#gauge(
    'gateway_snapshot_bytes',
    'Size of the snapshot of bindings when it was last written whole; 0 while there is none, because it was not written yet or cannot be',
    ['pool'],
  );
  readonly bindings = this.#gauge('gateway_bindings', 'Live bindings in the store', ['pool', 'instance']);
  readonly groups = this.#gauge(
    'gateway_groups',
    'Groups of agents that are placed at the instance; only in pools with groups',
    ['pool', 'instance'],
  );
  readonly groupAgents = this.#gauge(
    'gateway_group_agents',
    'Members of the groups that are placed at the instance, whether or not they are logged on',
    ['pool', 'instance'],
  );
  readonly groupFileValid = this.#gauge(
    'gateway_group_file_valid',
    '0 if the file of groups has changed and cannot be used, so that its last valid content counts, otherwise 1; only in pools with groups',
    ['pool'],
  );
  readonly maxAgents = this.#gauge(
    'gateway_instance_max_agents',
    'The most agents that the instance should have (maxAgents); only with that limit',
    ['pool', 'instance'],
  );
  readonly instanceUp = this.#gauge(
    'gateway_instance_up',
    '1 if the instance is up, 0 if it is down or its health is not yet known',
    ['pool', 'instance'],
  );
  readonly instanceTransitions = this.#counter(
    'gateway_instance_transitions_total',
    'Changes of an instance between up and down, or to a new incarnation',
    ['pool', 'instance', 'to'],
  );
  readonly instanceInFlight = this.#gauge(
    'gateway_instance_in_flight',
    'Requests at the instance, including those that are still connecting',
    ['pool', 'instance'],
  );
  readonly inFlight = this.#gauge('gateway_in_flight', 'Requests in the gateway that have arrived', []);
  readonly connectionsDropped = this.#counter(
    'gateway_connections_dropped_total',
    'Connections of clients closed at once because limits.connections or the limit of open files was reached, and no other one could give way',
    [],
  );
  readonly connectionsGivenUp = this.#counter(
    'gateway_connections_given_up_total',
    'Idle and slow connections of clients closed to make room for new ones, because limits.connections or the limit of open files was reached',
    [],
  );
  readonly filesExhausted = this.#counter(
    'gateway_files_exhausted_total',
    'Connections that the limit of open files prevented: of clients (accept), to instances (connect), of probes (probe)',
    ['at'],
  );
  readonly connectionFaults = this.#counter(
    'gateway_connection_faults_total',
    'Connections closed because of an uncaught error, which is a bug in the gateway; the log has its stack',
    [],
  );
  readonly proxyConnections = this.#counter(
    'gateway_proxy_connections_total',
    'Connections while listen.proxyProtocol is on, by the outcome of their PROXY header: named, unnamed, plain and ignored are served; untrusted, missing, malformed, late and departed are closed',
    ['outcome'],
  );
  readonly configDifferences = this.#gauge(
    'gateway_config_differences',
    'Parts in which the configuration of this gateway differs from the agreed one, by effect: overridden (the gateway uses the agreed value), tolerated (it uses its own, and one of the two finds names where the other finds none), unready (an instance that takes agents is missing here), refused (the gateway does not serve the pool)',
    ['pool', 'effect'],
  );
  readonly viewEpoch = this.#gauge('gateway_view_epoch', 'Epoch of the view of the pool', ['pool']);
  readonly viewEffective = this.#gauge(
    'gateway_view_effective',
    '1 while every live gateway acts on the newest view, 0 until all have acknowledged it',
    ['pool'],
  );
  readonly leaseSeconds = this.#gauge(
    'gateway_lease_seconds',
    'Time for which the gateway may act on the view without an answer of the store; 0 without a lease, +Inf for a gateway that is alone',
    ['pool'],
  );
  readonly replicas = this.#gauge(
    'gateway_replicas',
    'Live gateways that share the pool, including this one',
    ['pool'],
  );
  readonly abstentions = this.#counter(
    'gateway_abstentions_total',
    'Times that this gateway began to withhold its health report, because its event loop lagged or its clock jumped',
    ['pool'],
  );
  readonly instanceActive = this.#gauge(
    'gateway_active_instance',
    '1 for the active instance of a failover pool, 0 for the others',
    ['pool', 'instance'],
  );
  readonly instanceQuarantined = this.#gauge(
    'gateway_instance_quarantined',
    '1 while the instance gets no new agents because it may still hold old ones',
    ['pool', 'instance'],
  );
  readonly instanceCutOff = this.#gauge(
    'gateway_instance_cut_off',
    '1 while this gateway cannot reach the instance although its peers can',
    ['pool', 'instance'],
  );
  readonly probeSilence = this.#histogram(
    'gateway_probe_silence_seconds',
    'Time without a passed probe after which an instance passed one without having restarted: for most probes the time to their answer',
    ['pool', 'instance'],
    [0.01, 0.1, 0.3, 0.6, 1, 1.8, 3, 6, 15, 60],
  );
  readonly ledgerOperations = this.#counter(
    'gateway_ledger_operations_total',
    'Operations on the view store, in which the gateways agree, by outcome',
    ['pool', 'operation', 'outcome'],
  );
  readonly adminActs = this.#counter(
    'gateway_admin_acts_total',
    'Changes that operators requested from this gateway, by outcome',
    ['pool', 'act', 'outcome'],
  );

  /** What the history needs of each second; not for Prometheus. */
  readonly seconds = new SecondCounts();

  constructor({ processMetrics = true } = {}) {
    if (processMetrics) collectDefaultMetrics({ register: this.registry });
  }

  #counter<const L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge<const L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<const L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: number[],
  ): Histogram<L> {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.registry] });
  }
}
