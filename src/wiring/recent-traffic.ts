import type { RecentCounts } from '../core/alarms.ts';
import { isFailure, SLOW_SECONDS } from '../core/alarms.ts';
import { CounterHistory } from '../core/counter-history.ts';
import type { ErrorCode } from '../core/errors.ts';
import { ERRORS } from '../core/errors.ts';
import type { EndedRequests } from '../core/incident/facts.ts';
import type { NameSource, SourceShare } from '../core/seen-names.ts';
import { SEEN_SECONDS, sharesOf } from '../core/seen-names.ts';
import type { HostMetrics, NamesOf } from '../telemetry/host-metrics.ts';

const MINUTE_MS = 60_000;
const LOOK_EVERY_MS = 1_000;
const SAMPLE_EVERY_MS = 5_000;
const KEEP_MS = 15 * MINUTE_MS;
const HOUR_MS = 1_000 * SEEN_SECONDS;

const SOURCES: readonly NameSource[] = ['header', 'cookie', 'body', 'address', 'none'];

/** Which counters are kept, and under which names. */
const COUNTED: ReadonlyMap<string, NamesOf> = new Map<string, NamesOf>([
  [
    'gateway_requests_total',
    ({ pool, status_class: statusClass }) => [
      'requests',
      `requests/${pool}`,
      ...(statusClass === '5xx' ? [`faults/${pool}`] : []),
    ],
  ],
  [
    'gateway_request_duration_seconds',
    ({ pool, le }, metric) => {
      if (metric.endsWith('_count')) return [`timed/${pool}`];
      return metric.endsWith('_bucket') && Number(le) === SLOW_SECONDS ? [`fast/${pool}`] : [];
    },
  ],
  [
    'gateway_errors_total',
    ({ code }) => [
      `error/${code}`,
      ...(isFailure(String(code)) ? ['failures'] : []),
      ...(code === 'GW_OUTCOME_UNKNOWN' ? ['unknown'] : []),
    ],
  ],
  ['gateway_affinity_conflicts_total', ({ pool }) => [`splits/${pool}`]],
  ['gateway_instance_transitions_total', ({ pool, instance }) => [`transitions/${pool}/${instance}`]],
  [
    'gateway_affinity_operations_total',
    ({ pool, outcome }) => (outcome === 'full' ? [`refused/${pool}`] : []),
  ],
  [
    'gateway_relays_total',
    ({ pool, instance, direction, outcome }) =>
      outcome === 'unsent' ? [] : [`relayed/${pool}/${instance}/${direction}`],
  ],
  ['gateway_names_replaced_total', ({ pool }) => [`replaced/${pool}`]],
  [
    'gateway_identity_total',
    ({ pool, source }) => [
      `identified/${pool}`,
      `named/${pool}/${source}`,
      ...(source === 'none' ? [`unnamed/${pool}`] : []),
    ],
  ],
  ['gateway_abstentions_total', ({ pool }) => [`abstentions/${pool}`]],
  ['gateway_connections_dropped_total', () => ['dropped']],
]);

/** What all processes of this gateway have counted lately. Workers report every few seconds. */
export class RecentTraffic implements RecentCounts {
  readonly #metrics: HostMetrics;
  readonly #history = new CounterHistory({ everyMs: SAMPLE_EVERY_MS, keepMs: KEEP_MS });
  /** With samples further apart, because an hour of the others would take 720 of them. */
  readonly #hour = new CounterHistory({ everyMs: MINUTE_MS, keepMs: HOUR_MS });
  #timer: NodeJS.Timeout | undefined;

  constructor(metrics: HostMetrics) {
    this.#metrics = metrics;
  }

  async start(): Promise<void> {
    await this.#look();
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Since the gateway started. */
  traffic(pool: string): { readonly requests: number; readonly faults: number } {
    return {
      requests: this.#history.value(`requests/${pool}`),
      faults: this.#history.value(`faults/${pool}`),
    };
  }

  splits(pool: string): number {
    return this.#history.increase(`splits/${pool}`, 10 * MINUTE_MS);
  }

  refused(pool: string): number {
    return this.#history.increase(`refused/${pool}`, 5 * MINUTE_MS);
  }

  replaced(pool: string): number {
    return this.#history.increase(`replaced/${pool}`, 5 * MINUTE_MS);
  }

  transitions(pool: string, instance: string): number {
    return this.#history.increase(`transitions/${pool}/${instance}`, 15 * MINUTE_MS);
  }

  /** Of the last 15 minutes. */
  relayed(pool: string, instance: string): { readonly sent: number; readonly taken: number } {
    const of = (direction: string): number =>
      this.#history.increase(`relayed/${pool}/${instance}/${direction}`, 15 * MINUTE_MS);
    return { sent: of('out'), taken: of('in') };
  }

  abstentions(pool: string): number {
    return this.#history.increase(`abstentions/${pool}`, 15 * MINUTE_MS);
  }

  slow(pool: string): { readonly over: number; readonly of: number } {
    const of = this.#history.increase(`timed/${pool}`, 5 * MINUTE_MS);
    return { over: of - this.#history.increase(`fast/${pool}`, 5 * MINUTE_MS), of };
  }

  unnamed(pool: string): { readonly over: number; readonly of: number } {
    const within = 15 * MINUTE_MS;
    return {
      over: this.#history.increase(`unnamed/${pool}`, within),
      of: this.#history.increase(`identified/${pool}`, within),
    };
  }

  identitySources(pool: string): readonly SourceShare[] {
    return sharesOf(
      SOURCES.map((source) => [source, this.#hour.increase(`named/${pool}/${source}`, HOUR_MS)]),
    );
  }

  get outcomeUnknown(): number {
    return this.#history.increase('unknown', 10 * MINUTE_MS);
  }

  get failures(): { readonly over: number; readonly of: number } {
    const within = 2 * MINUTE_MS;
    return {
      over: this.#history.increase('failures', within),
      of: this.#history.increase('requests', within),
    };
  }

  /** Of the last 15 minutes at most. */
  ended(withinMs: number): EndedRequests {
    const within = Math.min(withinMs, KEEP_MS);
    const errors = Object.keys(ERRORS).flatMap((code) => {
      const requests = this.#history.increase(`error/${code}`, within);
      return requests > 0 ? [{ code, requests }] : [];
    });
    return { withinMs: within, ended: this.#history.increase('requests', within), errors };
  }

  /** Since the gateway started. */
  errors(code: ErrorCode): number {
    return this.#history.value(`error/${code}`);
  }

  get dropped(): number {
    return this.#history.increase('dropped', 5 * MINUTE_MS);
  }

  async #look(): Promise<void> {
    const sums = await this.#metrics.sums(COUNTED);
    const now = performance.now();
    this.#history.add(now, sums);
    this.#hour.add(now, sums);
  }
}
