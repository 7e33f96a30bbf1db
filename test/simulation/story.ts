import type { AdminState } from '../../src/core/instance.ts';
import type { Quorum } from '../../src/core/view/health-report.ts';
import type { PoolMode } from '../../src/core/view/view.ts';

/** The options in which gateways may differ. They act by the agreed value; with the last three, they leave the pool. */
export type Variant = 'priorities' | 'instances' | 'mode' | 'url' | 'identity';

/** An external event. Replicas, instances and agents are given by number. */
export type StoryEvent = { readonly at: number } & (
  | { readonly kind: 'request'; readonly agent: number; readonly replica: number }
  /** Messages between replica and store are lost, in one direction or both. */
  | {
      readonly kind: 'store-cut';
      readonly replica: number;
      readonly ms: number;
      readonly lost: 'both' | 'requests' | 'replies';
    }
  /** Each message is lost with some probability. */
  | { readonly kind: 'store-lossy'; readonly replica: number; readonly ms: number; readonly share: number }
  /** Each message takes up to `delay` longer, so they overtake each other. */
  | { readonly kind: 'store-slow'; readonly replica: number; readonly ms: number; readonly delay: number }
  /** Each message takes about half of `delay` longer: a slow network or proxy. */
  | { readonly kind: 'store-far'; readonly replica: number; readonly ms: number; readonly delay: number }
  /** Some kinds of command fail: a gateway has lost one of its connections, or its rights. */
  | {
      readonly kind: 'store-partial';
      readonly replica: number;
      readonly ms: number;
      readonly commands: 'bindings' | 'agreement' | 'write-backs';
      /** They are refused at once, or not answered. */
      readonly refused: boolean;
    }
  /** News of the store does not arrive. */
  | { readonly kind: 'deaf'; readonly replica: number; readonly ms: number }
  | {
      readonly kind: 'instance-cut';
      readonly replica: number;
      readonly instance: number;
      readonly ms: number;
    }
  /** Each replica is cut off from another instance: that with its number and `shift` more. */
  | { readonly kind: 'partition'; readonly shift: number; readonly ms: number }
  /** Messages between two gateways come later or never. */
  | { readonly kind: 'peer-cut'; readonly replica: number; readonly peer: number; readonly ms: number }
  /** Each message between two gateways takes up to `delay` longer. */
  | {
      readonly kind: 'peer-slow';
      readonly replica: number;
      readonly peer: number;
      readonly ms: number;
      readonly delay: number;
    }
  /** The gateway answers its peers against the protocol. */
  | { readonly kind: 'peer-lies'; readonly replica: number; readonly ms: number }
  /** The instance ends, and restarts with a new incarnation after `ms`. */
  | { readonly kind: 'instance-restart'; readonly instance: number; readonly ms: number }
  /** The instance answers no request for `ms`, and goes on with the same incarnation. */
  | { readonly kind: 'instance-hang'; readonly instance: number; readonly ms: number }
  /**
   * The network between an instance and one gateway, or all, takes no packets. Data handed to a connection before,
   * or to one that was open, is delivered once it takes packets again.
   */
  | {
      readonly kind: 'link-held';
      readonly replica: number;
      readonly instance: number;
      readonly ms: number;
      readonly who: 'one' | 'all';
    }
  /** The process is paused; its clocks go on. */
  | { readonly kind: 'stop'; readonly replica: number; readonly ms: number }
  /** The machine is paused, including its monotonic clock. */
  | { readonly kind: 'suspend'; readonly replica: number; readonly ms: number }
  /** The process is killed, and another one starts after `ms`. */
  | { readonly kind: 'kill'; readonly replica: number; readonly ms: number }
  /** As `kill`, but the replica leaves the view store. */
  | { readonly kind: 'leave'; readonly replica: number; readonly ms: number }
  /**
   * Gateways are restarted with another configuration: `one` by mistake, until that is corrected after `ms`; `in turn`
   * all of them within that time; or all are stopped, and started after it.
   */
  | {
      readonly kind: 'drift';
      readonly replica: number;
      readonly ms: number;
      readonly what: Variant;
      readonly who: 'one' | 'in turn' | 'all';
    }
  | { readonly kind: 'wall-jump'; readonly replica: number; readonly by: number }
  /** The store's clock is set, by more than the longest time between two syncs. */
  | { readonly kind: 'store-clock'; readonly by: number }
  | { readonly kind: 'store-hang'; readonly ms: number }
  /** As `store-hang`, but shorter than gateways wait, like a fork to save. */
  | { readonly kind: 'store-pause'; readonly ms: number }
  /** The process is overloaded: its timers fire late, and messages wait. */
  | { readonly kind: 'busy'; readonly replica: number; readonly ms: number; readonly by: number }
  /** The store crashes, and returns after `ms` without the writes of the last `lost` ms. */
  | { readonly kind: 'store-crash'; readonly ms: number; readonly lost: number }
  | { readonly kind: 'store-empty'; readonly ms: number }
  | { readonly kind: 'admin'; readonly instance: number; readonly state: AdminState }
  | { readonly kind: 'activate'; readonly instance: number }
  | { readonly kind: 'failback'; readonly how: 'never' | 'immediate' | 'when-idle' }
  | { readonly kind: 'move'; readonly agent: number; readonly instance: number }
  | { readonly kind: 'release'; readonly instance: number }
  | { readonly kind: 'forget'; readonly agent: number; readonly replica: number }
);

/** The fixed properties of a story. */
export interface Setup {
  readonly mode: PoolMode;
  readonly onStoreLoss: 'continue' | 'refuse';
  readonly quorum: Quorum;
  readonly quarantines: boolean;
  /** `never` if it is missing. */
  readonly failback?: 'immediate';
  /** How the incarnations of an instance are distinguished. */
  readonly incarnations: 'shown' | 'counted' | 'unknown';
  readonly instances: number;
  readonly agents: number;
  /** The replica whose gateways are of an earlier release, which cannot forget agents. */
  readonly earlier?: number;
  /** Which replicas take requests of peers; none if it is missing. */
  readonly relays?: readonly boolean[];
  /** The configured lease of each replica, if not all have the default. */
  readonly leases?: readonly number[];
  /** How each replica's clocks differ from true time; `rate` is near 1. */
  readonly clocks: readonly { readonly rate: number; readonly mono: number; readonly wall: number }[];
}

export interface Story {
  readonly seed: number;
  readonly setup: Setup;
  /** Sorted by time. */
  readonly events: readonly StoryEvent[];
  /** The end of the last fault. */
  readonly healed: number;
}

/** The time at which the effects of the event end. */
export function endOf(event: StoryEvent): number {
  return 'ms' in event ? event.at + event.ms : event.at;
}

/** The end of the last fault. Requests and acts of operators are not faults. */
export function healedAt(events: readonly StoryEvent[]): number {
  let healed = 0;
  for (const event of events) if (event.kind !== 'request') healed = Math.max(healed, endOf(event));
  return healed;
}

/** A text with one line for each event. */
export function tell({ setup, events, seed }: Story): string {
  const { mode, onStoreLoss, quorum, incarnations, instances, clocks } = setup;
  const head = [
    `seed ${seed}: ${mode} pool of ${instances} instances, ${clocks.length} replicas, quorum ${quorum}`,
    `  onStoreLoss ${onStoreLoss}, incarnations ${incarnations}, quarantine ${setup.quarantines ? 'on' : 'off'}`,
  ];
  if (setup.earlier !== undefined) head.push(`  replica ${setup.earlier} of an earlier release`);
  if (setup.relays !== undefined)
    head.push(`  replicas that take requests of peers: ${takers(setup.relays)}`);
  if (setup.leases !== undefined) head.push(`  leases ${setup.leases.join(', ')} ms`);
  return [...head, ...events.map((event) => `  ${clock(event.at)}  ${line(event)}`)].join('\n');
}

function takers(relays: readonly boolean[]): string {
  return [...relays.keys()].filter((replica) => relays[replica]).join(', ');
}

/** Seconds with milliseconds. */
export function clock(ms: number): string {
  return `${(ms / 1_000).toFixed(3)} s`.padStart(9);
}

function line(event: StoryEvent): string {
  const { at: _, kind, ...rest } = event;
  const facts = Object.entries(rest).map(([name, value]) => `${name} ${value}`);
  return [kind, ...facts].join(', ');
}
