import type { Random } from '../../src/simulator/random.ts';
import { seededRandom } from '../../src/simulator/random.ts';
import type { RelayFault } from './relay-story.ts';
import { relayStory, takers } from './relay-story.ts';
import type { Setup, Story, StoryEvent, Variant } from './story.ts';
import { endOf, healedAt } from './story.ts';
import { LEASE_MS, timesOf } from './times.ts';

const { awayMs: AWAY_MS, joinMs: JOIN_MS } = timesOf(LEASE_MS);
const REPLICAS = 3;
// The agents of the beginning. Each fault adds another one that no gateway knows yet.
const AGENTS = 3;
// Of the first kind.
const MOST_FAULTS = 5;
const MOST_BESIDE_RELAYS = 2;
const FAULTS_FROM = 1_500;
const FAULTS_UNTIL = 9_000;
const REQUESTS = 24;
// Requests that show whether the system has recovered.
const LATE_REQUESTS = 8;
const NEWCOMER_REQUESTS = 4;
const NEWCOMER_MS = 600;
// Keeps the random numbers of one seed's faults apart from those of the next seed.
const MORE_PRIME = 1_009;

type Kind = Exclude<StoryEvent['kind'], RelayFault>;

// How likely each kind is, relative to the others.
const WEIGHTS: readonly (readonly [Kind, number])[] = [
  ['store-cut', 3],
  ['store-lossy', 1],
  ['store-slow', 2],
  ['deaf', 2],
  ['instance-cut', 2],
  ['instance-restart', 3],
  ['instance-hang', 3],
  ['stop', 3],
  ['suspend', 1],
  ['kill', 1],
  ['leave', 0.5],
  ['wall-jump', 0.5],
  ['store-clock', 0.5],
  ['store-hang', 1],
  ['store-crash', 3],
  ['store-empty', 1.5],
  ['admin', 2],
  ['activate', 1],
  ['failback', 0.5],
  ['move', 1.5],
  ['release', 0.3],
];
/**
 * The share of the stories that get an additional fault of each kind. Each kind draws separate random numbers, so that
 * the stories without it stay the same. Add a new kind of fault here.
 */
const MORE: readonly (readonly [kind: Kind, share: number, stream?: number])[] = [
  ['store-far', 0.15],
  ['store-partial', 0.1],
  ['store-pause', 0.15],
  ['busy', 0.1],
  ['drift', 0.06],
  ['link-held', 0.1],
  // With this number, the first stories that show each earlier planted bug have none.
  ['forget', 0.2, 9],
];
// The shares of the stories with a forgotten agent in which one gateway is of an earlier release, and in which the
// gateway that carries out the act is paused in the middle of it.
const EARLIER_SHARE = 0.3;
const PAUSED_SHARE = 0.3;
// The share of the stories in which gateways have different leases, and these leases.
const UNEQUAL_SHARE = 0.25;
// A number of no fault above. With this one, the first stories that show each planted bug keep equal leases.
const UNEQUAL_STREAM = 16;
// As above, for stories whose gateways hand requests to each other.
const RELAY_STREAM = 23;
const LEASES = [1_000, 1_500, 2_000, LEASE_MS] as const;
const TOTAL = WEIGHTS.reduce((sum, [, weight]) => sum + weight, 0);

/** The story of a seed, always the same. */
export function generate(seed: number): Story {
  const random = seededRandom(seed);
  const setup = setUp(random);
  const faults: StoryEvent[] = [];
  const relaying = seededRandom(seed * MORE_PRIME + RELAY_STREAM);
  const relays = takers(relaying, REPLICAS);
  // Those with peers get others in addition.
  const count = 1 + Math.floor(random() * (relays === undefined ? MOST_FAULTS : MOST_BESIDE_RELAYS));
  for (let i = 0; i < count; i += 1)
    faults.push(faultAt(moment(random, faults), kindOf(random), setup, random));
  const events = [...faults, ...requests(random, faults, healedAt(faults))];
  let agents = AGENTS + faults.length;
  let earlier: number | undefined;
  for (const [i, [kind, share, stream = i]] of MORE.entries()) {
    const own = seededRandom(seed * MORE_PRIME + stream);
    if (own() >= share) continue;
    let fault = faultAt(moment(own, faults), kind, setup, own);
    if (fault.kind === 'forget') {
      fault = { ...fault, agent: agents };
      if (own() < EARLIER_SHARE) earlier = Math.floor(own() * REPLICAS);
      if (own() < PAUSED_SHARE) events.push(pauseDuring(fault, own));
    }
    const healed = healedAt([...events, fault]);
    events.push(fault, ...newcomers(own, fault, agents), ...lateRequests(own, agents + 1, healed));
    agents += 1;
  }
  if (relays !== undefined) {
    const { faults: cuts, requests: handed } = relayStory(relaying, setup, agents);
    events.push(...cuts, ...handed.map((one) => ({ ...one, kind: 'request', agent: agents }) as const));
    events.push(...lateRequests(relaying, agents + 1, healedAt(events)));
    agents += 1;
  }
  leaveOutSuspendedClocks(events);
  const leases = unequalLeases(seededRandom(seed * MORE_PRIME + UNEQUAL_STREAM));
  if (leases !== undefined) loseLess(events, Math.min(...leases) / LEASE_MS);
  events.sort((a, b) => a.at - b.at);
  // Otherwise gateways with other priorities would hardly ever want another active instance.
  const failback = events.some(({ kind }) => kind === 'drift') ? ({ failback: 'immediate' } as const) : {};
  return {
    seed,
    setup: {
      ...setup,
      ...failback,
      ...(leases && { leases }),
      ...(earlier !== undefined && { earlier }),
      // Earlier releases take no requests of peers.
      ...(relays && { relays: relays.map((takes, i) => takes && i !== earlier) }),
      agents,
    },
    events,
    healed: healedAt(events),
  };
}

function unequalLeases(random: Random): readonly number[] | undefined {
  if (random() >= UNEQUAL_SHARE) return undefined;
  return Array.from({ length: REPLICAS }, () => pick(random, LEASES));
}

/** A store loses less than the time that a new replica waits for its first lease, even the shortest. */
function loseLess(events: StoryEvent[], share: number): void {
  for (const [i, event] of events.entries()) {
    if (event.kind === 'store-crash') events[i] = { ...event, lost: Math.round(event.lost * share) };
  }
}

/** A machine that is suspended with both clocks cannot notice it: the limit that `deploy/docs/cluster.md` names. */
function leaveOutSuspendedClocks(events: StoryEvent[]): void {
  const isSuspended = (replica: number, at: number): boolean =>
    events.some(
      (event) =>
        event.kind === 'suspend' && event.replica === replica && event.at <= at && at <= endOf(event),
    );
  for (let i = events.length - 1; i >= 0; i -= 1) {
    const event = events[i] as StoryEvent;
    if (event.kind === 'wall-jump' && event.by < 0 && isSuspended(event.replica, event.at))
      events.splice(i, 1);
  }
}

function setUp(random: Random): Setup {
  const clocks = Array.from({ length: REPLICAS }, () => ({
    rate: 1 + (random() - 0.5) / 50,
    mono: random() * 1e6,
    wall: (random() - 0.5) * 1e7,
  }));
  return {
    mode: random() < 0.6 ? 'sticky' : 'failover',
    onStoreLoss: random() < 0.5 ? 'refuse' : 'continue',
    quorum: random() < 0.7 ? 'majority' : pick(random, ['any', 'all'] as const),
    quarantines: random() < 0.7,
    incarnations: pick(random, ['shown', 'shown', 'counted', 'unknown'] as const),
    instances: 2 + Math.floor(random() * 2),
    agents: AGENTS,
    clocks,
  };
}

/** Simultaneous faults do more harm than single ones. */
function moment(random: Random, faults: readonly StoryEvent[]): number {
  const before = faults.at(-1);
  if (before !== undefined && random() < 0.6) {
    const near = random() < 0.5 ? before.at : endOf(before);
    return Math.max(FAULTS_FROM, Math.round(Math.min(FAULTS_UNTIL, near + (random() - 0.3) * 1_500)));
  }
  return Math.round(FAULTS_FROM + random() * (FAULTS_UNTIL - FAULTS_FROM));
}

function kindOf(random: Random): Kind {
  let ticket = random() * TOTAL;
  for (const [kind, weight] of WEIGHTS) {
    ticket -= weight;
    if (ticket < 0) return kind;
  }
  return 'stop';
}

function faultAt(at: number, kind: Kind, setup: Setup, random: Random): StoryEvent {
  const replica = Math.floor(random() * REPLICAS);
  const instance = Math.floor(random() * setup.instances);
  // Shorter than a lease, about as long, and longer.
  const ms = Math.round(random() < 0.4 ? random() * 600 : random() * 1.7 * LEASE_MS);
  switch (kind) {
    case 'store-cut':
      return { at, kind, replica, ms, lost: pick(random, ['both', 'both', 'requests', 'replies'] as const) };
    case 'store-lossy':
      return { at, kind, replica, ms, share: Math.round(random() * 80) / 100 };
    case 'store-slow':
      return { at, kind, replica, ms, delay: Math.round(random() * 800) };
    case 'store-far':
      // Gateways must leave an instance that dies meanwhile as soon as always.
      return { at, kind, replica, ms: ms * 3, delay: Math.round(120 + random() * random() * 1_200) };
    case 'store-partial': {
      const commands = pick(random, ['bindings', 'agreement', 'write-backs'] as const);
      return { at, kind, replica, ms, commands, refused: random() < 0.5 };
    }
    case 'store-pause':
      return { at, kind, ms: Math.round(50 + random() * (AWAY_MS - 100)) };
    case 'busy':
      return { at, kind, replica, ms, by: Math.round(random() * 400) };
    case 'drift': {
      const what = pick(random, [
        'priorities',
        'priorities',
        'instances',
        'url',
        'identity',
        'mode',
      ] as const);
      return {
        at,
        kind,
        replica,
        ms: Math.round(1_000 + random() * LEASE_MS),
        what,
        who: whoDrifts(what, random),
      };
    }
    case 'deaf':
    case 'stop':
    case 'suspend':
    case 'kill':
    case 'leave':
      return { at, kind, replica, ms };
    case 'instance-cut':
      return { at, kind, replica, instance, ms };
    case 'instance-restart':
    case 'instance-hang':
      return { at, kind, instance, ms };
    case 'link-held':
      // Mostly for longer than the probes need to find the instance down.
      return {
        at,
        kind,
        replica,
        instance,
        ms: Math.round(500 + random() * 2 * LEASE_MS),
        who: random() < 0.7 ? 'all' : 'one',
      };
    case 'wall-jump':
      return { at, kind, replica, by: Math.round((random() - 0.5) * 1e5) };
    case 'store-clock':
      return { at, kind, by: Math.round((random() < 0.5 ? -1 : 1) * (0.6 + random() * 5) * LEASE_MS) };
    case 'store-hang':
    case 'store-empty':
      return { at, kind, ms };
    case 'store-crash':
      return { at, kind, ms: Math.round(random() * 500), lost: Math.round(random() * 0.95 * JOIN_MS) };
    case 'admin':
      return { at, kind, instance, state: pick(random, ['draining', 'disabled', 'enabled'] as const) };
    case 'failback':
      return { at, kind, how: pick(random, ['never', 'immediate', 'when-idle'] as const) };
    case 'move':
      return { at, kind, agent: Math.floor(random() * setup.agents), instance };
    case 'forget':
      return { at, kind, agent: 0, replica };
    case 'request':
      return { at, kind, agent: Math.floor(random() * setup.agents), replica };
    case 'activate':
    case 'release':
      return { at, kind, instance };
  }
}

function pauseDuring({ at, replica }: Extract<StoryEvent, { kind: 'forget' }>, random: Random): StoryEvent {
  const ms = Math.round((0.5 + random() * 1.5) * LEASE_MS);
  return { at: Math.round(at + random() * 80), kind: 'stop', replica, ms };
}

function whoDrifts(what: Variant, random: Random): 'one' | 'in turn' | 'all' {
  const isForGood = random() < 0.5;
  // The promises are about agents in one mode, and about the active instance in the other.
  if (!isForGood || what === 'mode') return 'one';
  return what === 'priorities' || what === 'instances' ? 'in turn' : 'all';
}

/** Some at any time, most around the faults, some in pairs at different replicas. */
function requests(random: Random, faults: readonly StoryEvent[], healed: number): StoryEvent[] {
  const events: StoryEvent[] = [];
  for (let i = 0; i < REQUESTS; i += 1) {
    const agent = Math.floor(random() * AGENTS);
    const fault = pick(random, faults);
    const near = random() < 0.4 ? fault.at : endOf(fault);
    const at = random() < 0.4 ? 1_000 + random() * healed : near + (random() - 0.2) * 3_000;
    events.push(requestAt(Math.max(500, at), agent, random));
    if (random() < 0.3) events.push(requestAt(Math.max(500, at + random() * 30), agent, random));
  }
  for (const [i, fault] of faults.entries()) events.push(...newcomers(random, fault, AGENTS + i));
  return [...events, ...lateRequests(random, AGENTS + faults.length, healed)];
}

function requestAt(at: number, agent: number, random: Random): StoryEvent {
  return { at: Math.round(at), kind: 'request', agent, replica: Math.floor(random() * REPLICAS) };
}

/** Of an agent that no gateway knows before the fault. */
function newcomers(random: Random, fault: StoryEvent, agent: number): StoryEvent[] {
  // While the store is paused, agents come to several gateways at once.
  if (fault.kind === 'store-pause')
    return Array.from({ length: NEWCOMER_REQUESTS }, () =>
      requestAt(fault.at - 20 + random() * (fault.ms + 40), agent, random),
    );
  // A gateway knows the agent when the network stops taking packets; others serve the agent meanwhile.
  if (fault.kind === 'link-held')
    return [-NEWCOMER_MS, -NEWCOMER_MS / 2, 0, 20, fault.ms / 2, fault.ms / 2, fault.ms * 0.9].map((after) =>
      requestAt(fault.at + after + random() * 200, agent, random),
    );
  // All gateways know the agent when its binding ends, and requests come all the time.
  if (fault.kind === 'forget')
    return [-600, -500, -400, -20, 0, 10, 20, 40, 80, 300, 1_000].map((after) =>
      requestAt(Math.max(500, fault.at + after + random() * 20), agent, random),
    );
  return Array.from({ length: NEWCOMER_REQUESTS }, () => {
    const at = random() < 0.5 ? fault.at - random() * NEWCOMER_MS : endOf(fault) + random() * NEWCOMER_MS;
    return requestAt(at, agent, random);
  });
}

function lateRequests(random: Random, agents: number, healed: number): StoryEvent[] {
  return Array.from({ length: LATE_REQUESTS }, () =>
    requestAt(healed + 5_000 + random() * 3_000, Math.floor(random() * agents), random),
  );
}

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)] as T;
}
