import type { Random } from '../../src/simulator/random.ts';
import type { Setup, StoryEvent } from './story.ts';
import { LEASE_MS } from './times.ts';

/** The faults that only gateways with peers can meet. */
export type RelayFault = 'partition' | 'peer-cut' | 'peer-slow' | 'peer-lies';

/** What a story gets in addition if its gateways hand requests to each other. */
export interface RelayStory {
  readonly faults: readonly StoryEvent[];
  /** The times of an agent's requests, and through which replica. */
  readonly requests: readonly { readonly at: number; readonly replica: number }[];
}

// The share of such stories.
const SHARE = 0.2;
const ALL_SHARE = 0.7;
const CUT_FROM = 2_000;
const CUT_UNTIL = 7_000;
const MOST_FAULTS = 3;

/** Which replicas take requests of peers: all, or all but one; `undefined` for most stories, in which none does. */
export function takers(random: Random, replicas: number): readonly boolean[] | undefined {
  if (random() >= SHARE) return undefined;
  const without = random() < ALL_SHARE ? -1 : below(random, replicas);
  return Array.from({ length: replicas }, (_, i) => i !== without);
}

/** @param agent one that no gateway knows before */
export function relayStory(random: Random, { clocks, instances }: Setup, agent: number): RelayStory {
  const replicas = clocks.length;
  const replica = below(random, replicas);
  const at = Math.round(CUT_FROM + random() * (CUT_UNTIL - CUT_FROM));
  const ms = Math.round(300 + random() * 1.7 * LEASE_MS);
  const faults = cutsOff(random, { at, replica, ms }, instances);
  const more = below(random, MOST_FAULTS + 1);
  for (let i = 0; i < more; i += 1)
    faults.push(
      ...disturbance(random, Math.round(at + random() * ms), {
        from: at,
        replica,
        replicas,
        instances,
        agent,
      }),
    );
  const other = (): number => below(random, replicas);
  const requests = [
    ...[-500, -400, -300].map((before, i) => ({ at: at + before, replica: i })),
    // They come all the time, and most of them to the gateway that is cut off.
    ...Array.from({ length: 10 }, () => ({
      at: at + random() * ms,
      replica: random() < 0.7 ? replica : other(),
    })),
    { at: at + ms + random() * 300, replica: other() },
  ];
  return {
    faults,
    requests: requests.map((request) => ({ ...request, at: Math.max(500, Math.round(request.at)) })),
  };
}

/** A gateway cannot reach one instance, or any; or each gateway cannot reach another one. */
function cutsOff(
  random: Random,
  { at, replica, ms }: { readonly at: number; readonly replica: number; readonly ms: number },
  instances: number,
): StoryEvent[] {
  const how = random();
  if (how < 0.35) return [{ at, kind: 'partition', shift: below(random, instances), ms }];
  const cut = (instance: number): StoryEvent => ({ at, kind: 'instance-cut', replica, instance, ms });
  if (how < 0.6) return [cut(below(random, instances))];
  return Array.from({ length: instances }, (_, instance) => cut(instance));
}

interface Stage {
  /** When that begins. */
  readonly from: number;
  /** The gateway that is cut off. */
  readonly replica: number;
  readonly replicas: number;
  readonly instances: number;
  readonly agent: number;
}

/** Something that happens while requests go through peers: to a peer, to the sender, to an instance, or by an operator. */
function disturbance(
  random: Random,
  at: number,
  { from, replica, replicas, instances, agent }: Stage,
): readonly StoryEvent[] {
  const peer = (replica + 1 + below(random, replicas - 1)) % replicas;
  const instance = below(random, instances);
  const ms = Math.round(random() < 0.5 ? random() * 1_200 : random() * 1.5 * LEASE_MS);
  const either = random() < 0.7 ? peer : replica;
  const events: readonly StoryEvent[] = [
    { at, kind: 'peer-cut', replica, peer, ms },
    { at, kind: 'peer-slow', replica, peer, ms: 2 * ms, delay: Math.round(random() * 2_500) },
    { at, kind: 'peer-lies', replica: peer, ms },
    { at, kind: 'stop', replica: either, ms },
    { at, kind: 'kill', replica: either, ms },
    { at, kind: 'store-cut', replica: either, ms, lost: 'both' },
    { at, kind: 'instance-restart', instance, ms },
    { at, kind: 'instance-hang', instance, ms },
    { at, kind: 'link-held', replica: peer, instance, ms: 500 + ms, who: random() < 0.5 ? 'all' : 'one' },
    { at, kind: 'move', agent, instance },
    { at, kind: 'forget', agent, replica: either },
    { at, kind: 'admin', instance, state: random() < 0.6 ? 'disabled' : 'draining' },
    { at, kind: 'activate', instance },
  ];
  const chosen = below(random, events.length + 1);
  if (chosen < events.length) return events.slice(chosen, chosen + 1);
  // The lease of the peer ends, and agents are moved, while the others still know its report.
  const since = Math.round(from - random() * LEASE_MS * 0.7);
  return [
    { at: since, kind: 'store-cut', replica: peer, ms: LEASE_MS + ms, lost: 'both' },
    { at: Math.round(since + random() * LEASE_MS), kind: 'admin', instance, state: 'disabled' },
  ];
}

function below(random: Random, end: number): number {
  return Math.floor(random() * end);
}
