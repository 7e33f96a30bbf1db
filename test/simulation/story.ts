import type { AdminState } from '../../src/core/instance.ts';
import type { Quorum } from '../../src/core/view/health-report.ts';
import type { PoolMode } from '../../src/core/view/view.ts';

/** What gateways may be configured differently in. The others act by the agreed value; for the last three they leave the pool. */
export type Variant = 'priorities' | 'instances' | 'mode' | 'url' | 'identity';

/** Something that happens to the system from outside. Replicas, instances and agents go by number. */
export type StoryEvent = { readonly at: number } & (
  | { readonly kind: 'request'; readonly agent: number; readonly replica: number }
  /** Messages between replica and store are lost, one way or both. */
  | {
      readonly kind: 'store-cut';
      readonly replica: number;
      readonly ms: number;
      readonly lost: 'both' | 'requests' | 'replies';
    }
  /** Each of them is lost with some likelihood. */
  | { readonly kind: 'store-lossy'; readonly replica: number; readonly ms: number; readonly share: number }
  /** They take up to `delay` longer, each by itself, so they overtake each other. */
  | { readonly kind: 'store-slow'; readonly replica: number; readonly ms: number; readonly delay: number }
  /** Each message takes about half of `delay` longer: a bad network, or a proxy that is slow. */
  | { readonly kind: 'store-far'; readonly replica: number; readonly ms: number; readonly delay: number }
  /** Some kinds of command fail: one of a gateway's connections is gone, or its rights are. */
  | {
      readonly kind: 'store-partial';
      readonly replica: number;
      readonly ms: number;
      readonly commands: 'bindings' | 'agreement' | 'write-backs';
      /** Refused at once, or not answered. */
      readonly refused: boolean;
    }
  /** What the store publishes does not arrive. */
  | { readonly kind: 'deaf'; readonly replica: number; readonly ms: number }
  | {
      readonly kind: 'instance-cut';
      readonly replica: number;
      readonly instance: number;
      readonly ms: number;
    }
  /** Ends, and begins a new life after `ms`. */
  | { readonly kind: 'instance-restart'; readonly instance: number; readonly ms: number }
  /** Answers nobody for `ms`, and goes on in the same life. */
  | { readonly kind: 'instance-hang'; readonly instance: number; readonly ms: number }
  /**
   * The network between an instance and one gateway, or all, takes no packets. What was handed to a connection before,
   * or to one that was open, is delivered once it does again.
   */
  | {
      readonly kind: 'link-held';
      readonly replica: number;
      readonly instance: number;
      readonly ms: number;
      readonly who: 'one' | 'all';
    }
  /** The process stands still; its clocks do not. */
  | { readonly kind: 'stop'; readonly replica: number; readonly ms: number }
  /** The machine stands still, and its monotonic clock too. */
  | { readonly kind: 'suspend'; readonly replica: number; readonly ms: number }
  /** The process dies, and another one starts after `ms`. */
  | { readonly kind: 'kill'; readonly replica: number; readonly ms: number }
  /** As `kill`, but it takes its leave from the view store. */
  | { readonly kind: 'leave'; readonly replica: number; readonly ms: number }
  /**
   * Gateways are restarted with another configuration: `one` by mistake, until that is put right after `ms`; `in turn`
   * all of them in that time; or all are stopped, and started after it.
   */
  | {
      readonly kind: 'drift';
      readonly replica: number;
      readonly ms: number;
      readonly what: Variant;
      readonly who: 'one' | 'in turn' | 'all';
    }
  | { readonly kind: 'wall-jump'; readonly replica: number; readonly by: number }
  /** Its clock is set, by more than the view store can take for a time without questions. */
  | { readonly kind: 'store-clock'; readonly by: number }
  | { readonly kind: 'store-hang'; readonly ms: number }
  /** As `store-hang`, and shorter than gateways wait: a fork to save does that. */
  | { readonly kind: 'store-pause'; readonly ms: number }
  /** The process has too much to do: its timers fire later, and messages wait. */
  | { readonly kind: 'busy'; readonly replica: number; readonly ms: number; readonly by: number }
  /** Dies, and comes back after `ms` without what was written in the last `lost` ms. */
  | { readonly kind: 'store-crash'; readonly ms: number; readonly lost: number }
  | { readonly kind: 'store-empty'; readonly ms: number }
  | { readonly kind: 'admin'; readonly instance: number; readonly state: AdminState }
  | { readonly kind: 'activate'; readonly instance: number }
  | { readonly kind: 'failback'; readonly how: 'never' | 'immediate' | 'when-idle' }
  | { readonly kind: 'move'; readonly agent: number; readonly instance: number }
  | { readonly kind: 'release'; readonly instance: number }
);

/** What is the same from beginning to end. */
export interface Setup {
  readonly mode: PoolMode;
  readonly onStoreLoss: 'continue' | 'refuse';
  readonly quorum: Quorum;
  readonly quarantines: boolean;
  /** `never` where it is missing. */
  readonly failback?: 'immediate';
  /** How a life of an instance is told from another. */
  readonly lives: 'shown' | 'counted' | 'unknown';
  readonly instances: number;
  readonly agents: number;
  /** The lease of each replica's configuration, where they are not all the default. */
  readonly leases?: readonly number[];
  /** How each replica's clocks differ from true time; `rate` is near 1. */
  readonly clocks: readonly { readonly rate: number; readonly mono: number; readonly wall: number }[];
}

export interface Story {
  readonly seed: number;
  readonly setup: Setup;
  /** By time. */
  readonly events: readonly StoryEvent[];
  /** When the last fault has ended. */
  readonly healed: number;
}

/** When the event is over, and all is as it was before. */
export function endOf(event: StoryEvent): number {
  return 'ms' in event ? event.at + event.ms : event.at;
}

/** The last moment at which something is wrong. Requests and operators are no faults. */
export function healedAt(events: readonly StoryEvent[]): number {
  let healed = 0;
  for (const event of events) if (event.kind !== 'request') healed = Math.max(healed, endOf(event));
  return healed;
}

/** For people: one line for each event. */
export function tell({ setup, events, seed }: Story): string {
  const { mode, onStoreLoss, quorum, lives, instances, clocks } = setup;
  const head = [
    `seed ${seed}: ${mode} pool of ${instances} instances, ${clocks.length} replicas, quorum ${quorum}`,
    `  onStoreLoss ${onStoreLoss}, lives ${lives}, quarantine ${setup.quarantines ? 'on' : 'off'}`,
  ];
  if (setup.leases !== undefined) head.push(`  leases ${setup.leases.join(', ')} ms`);
  return [...head, ...events.map((event) => `  ${clock(event.at)}  ${line(event)}`)].join('\n');
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
