import type { StoreOutcome } from '../affinity/store-outcome.ts';
import type { Config } from '../config/schema.ts';
import { ERRORS } from '../core/errors.ts';
import { FAILURES } from '../core/failure.ts';
import type { ProxyOutcome } from '../proxy/proxy-protocol-listener.ts';
import type { RouteDecision } from '../proxy/request-context.ts';
import type { WaitReason } from '../proxy/target-finder.ts';
import type { Woken } from '../proxy/wait-queue.ts';
import type { Metrics } from '../telemetry/metrics.ts';

// Records, so that a value that is missing or too much is an error of the compiler.
const DECISIONS = keys<RouteDecision>({
  bound: 1,
  own: 1,
  claimed: 1,
  rebound: 1,
  storeless: 1,
  anonymous: 1,
  parked: 1,
  refused: 1,
});
const WAITS = keys<WaitReason | 'place' | 'refused'>({
  starting: 1,
  'no-instance': 1,
  view: 1,
  lease: 1,
  store: 1,
  place: 1,
  refused: 1,
});
const WAIT_ENDS = keys<Woken | 'full' | 'again'>({
  changed: 1,
  dismissed: 1,
  timeout: 1,
  cancelled: 1,
  full: 1,
  again: 1,
});
const STORE_OUTCOMES = keys<StoreOutcome>({ ok: 1, stale: 1, full: 1, unavailable: 1 });
const PROXY_OUTCOMES = keys<ProxyOutcome>({
  named: 1,
  unnamed: 1,
  plain: 1,
  ignored: 1,
  untrusted: 1,
  missing: 1,
  malformed: 1,
  late: 1,
  departed: 1,
});
const CLASSES = ['2xx', '3xx', '4xx', '5xx'];
const BINDING_OPERATIONS = ['claim', 'rebind', 'lookup', 'renew', 'logoff'];
const VIEW_OPERATIONS = ['sync', 'propose', 'decree'];
const POOL_ACTS = [
  ...['enable', 'drain', 'disable', 'release', 'activate', 'failback', 'failback-policy'],
  ...['rebalance', 'adopt-config', 'move', 'forget'],
];
const GATEWAY_ACTS = ['maintenance-on', 'maintenance-off', 'stop', 'restart', 'reload'];
const ACT_OUTCOMES = ['ok', 'refused', 'unavailable'];

/**
 * Gives every known series of the counters the value 0. Prometheus sees an increase only between two samples: without
 * the first one, no alert would fire for the first event of its kind.
 */
export function beginSeries(
  metrics: Metrics,
  { pools, listen, peers }: Pick<Config, 'pools' | 'listen' | 'peers'>,
): void {
  if (listen.proxyProtocol !== 'off')
    for (const outcome of PROXY_OUTCOMES) metrics.proxyConnections.inc({ outcome }, 0);
  for (const at of ['accept', 'connect', 'probe']) metrics.filesExhausted.inc({ at }, 0);
  for (const code of Object.keys(ERRORS)) metrics.errors.inc({ code }, 0);
  for (const act of GATEWAY_ACTS)
    for (const outcome of ACT_OUTCOMES) metrics.adminActs.inc({ pool: '', act, outcome }, 0);
  // Requests for no pool.
  metrics.requestDuration.begin('');
  for (const status of CLASSES) metrics.requests.inc('', 'refused', status, 0);
  for (const { name: pool, instances } of pools) {
    for (const decision of DECISIONS)
      for (const status of CLASSES) metrics.requests.inc(pool, decision, status, 0);
    for (const reason of WAITS)
      for (const outcome of WAIT_ENDS) metrics.parked.inc({ pool, reason, outcome }, 0);
    for (const { id } of instances) beginInstance(metrics, pool, id, peers !== undefined);
    for (const operation of BINDING_OPERATIONS) {
      for (const outcome of STORE_OUTCOMES) metrics.affinityOperations.inc(pool, operation, outcome, 0);
      metrics.affinityDuration.zero({ pool, operation });
    }
    for (const operation of VIEW_OPERATIONS)
      for (const outcome of ['ok', 'unavailable'])
        metrics.ledgerOperations.inc({ pool, operation, outcome }, 0);
    for (const act of POOL_ACTS)
      for (const outcome of ACT_OUTCOMES) metrics.adminActs.inc({ pool, act, outcome }, 0);
    for (const counter of [
      metrics.rebinds,
      metrics.conflicts,
      metrics.namesReplaced,
      metrics.afterLogOff,
      metrics.abstentions,
    ])
      counter.inc({ pool }, 0);
    metrics.names.begin(pool);
    metrics.requestDuration.begin(pool);
  }
}

function beginInstance(metrics: Metrics, pool: string, instance: string, hasPeers: boolean): void {
  for (const outcome of ['answered', 'withdrawn', ...Object.keys(FAILURES)])
    metrics.attempts.inc(pool, instance, outcome, 0);
  for (const outcome of ['answered', 'unsent', ...Object.keys(FAILURES)])
    for (const direction of hasPeers ? ['in', 'out'] : [])
      metrics.relays.inc({ pool, instance, direction, outcome }, 0);
  metrics.probeSilence.zero({ pool, instance });
  for (const to of ['up', 'down', 'restarted']) metrics.instanceTransitions.inc({ pool, instance, to }, 0);
}

function keys<Key extends string>(record: Readonly<Record<Key, 1>>): Key[] {
  return Object.keys(record) as Key[];
}
