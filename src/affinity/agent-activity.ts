import type { Visit } from '../core/agent-bindings.ts';
import type { Placement } from '../core/binding.ts';

// All requests that a client sends when an agent logs off come within this time. People take longer to log on again.
const LOGGING_OFF_MS = 5_000;
// Each new agent is followed by a look at that many others in turn, so that those who are gone do not add up: about as
// many are remembered as are there.
const LOOKED_AT = 2;

interface Activity {
  inFlight: number;
  /** When a request last began or ended, in monotonic ms; minus infinity if it was a log-off. */
  seenAt: number;
  /** Counts the groups of requests that overlap in time. */
  group: number;
  /** When the last group began, in monotonic ms. */
  groupBegunAt: number;
  /** How many requests of the last group are not known to be log-offs. */
  others: number;
  /** When the agent logged off, if no request has begun since; minus infinity otherwise. In monotonic ms. */
  loggedOffAt: number;
}

/** Leads to what is remembered of its agent: that is kept while the request is under way. */
interface OwnVisit extends Visit {
  readonly activity: Activity;
}

/**
 * Which agents have requests under way in this process, or had some a moment ago. A request that acts on a cached
 * binding never reaches the store, so only this tells that an agent is there although another gateway says that the
 * agent has logged off.
 */
export class AgentActivity {
  /** By the key of the root, in the order in which they are looked at. */
  readonly #agents = new Map<string, Activity>();
  readonly #newsWithinMs: number;
  readonly #rememberedMs: number;

  /**
   * @param newsWithinMs how late a message about a log-off may be: a gateway that is without messages for longer learns
   *   that there is a gap
   * @param longestAgeMs how long before its message the request may have come with which an agent logged off
   */
  constructor(newsWithinMs: number, longestAgeMs: number) {
    this.#newsWithinMs = newsWithinMs;
    this.#rememberedMs = newsWithinMs + longestAgeMs;
  }

  /** How many agents are remembered. */
  get size(): number {
    return this.#agents.size;
  }

  begin(key: string, { instance, incarnation }: Placement, now: number): OwnVisit {
    const known = this.#agents.get(key);
    const activity = known ?? noActivity();
    const followsLogOff = now - activity.loggedOffAt <= LOGGING_OFF_MS;
    if (activity.inFlight === 0) {
      activity.group += 1;
      activity.groupBegunAt = now;
      activity.others = 0;
    }
    activity.loggedOffAt = Number.NEGATIVE_INFINITY;
    activity.inFlight += 1;
    activity.others += 1;
    activity.seenAt = now;
    if (known === undefined) {
      this.#agents.set(key, activity);
      this.#forgetOld(now);
    }
    return { key, instance, incarnation, group: activity.group, followsLogOff, activity };
  }

  /** The instance may have acted on it until now. */
  end(visit: Visit, now: number): void {
    const { activity } = visit as OwnVisit;
    activity.inFlight -= 1;
    if (activity.others > 0) activity.seenAt = now;
  }

  /** May the instance have got another request of the agent after this log-off? Requests may overtake each other. */
  isFollowed({ key, group }: Visit): boolean {
    const activity = this.#agents.get(key);
    return activity?.group !== group || activity.others > 0;
  }

  /**
   * The agent has logged off with this request, which is no sign that the agent is there. Returns when the first of the
   * requests began that overlap with it, if all are log-offs: CRM sends several. Returns `undefined` if the instance may
   * have got another request after them.
   */
  loggedOff(visit: Visit, now: number): number | undefined {
    const activity = this.#agents.get(visit.key);
    if (activity?.group !== visit.group) return undefined;
    activity.others -= 1;
    if (activity.others > 0) return undefined;
    activity.seenAt = Number.NEGATIVE_INFINITY;
    activity.loggedOffAt = now;
    return activity.groupBegunAt;
  }

  /** The agent has logged off elsewhere, and no request is known here that came after that. */
  loggedOffElsewhere(key: string, now: number): void {
    const activity = this.#agents.get(key);
    if (activity !== undefined) {
      activity.loggedOffAt = now;
      return;
    }
    this.#agents.set(key, { ...noActivity(), loggedOffAt: now });
    this.#forgetOld(now);
  }

  /**
   * How long ago the last request ended, if it may have come after a log-off elsewhere; 0 if one is under way.
   *
   * @param ageMs how long before its message the request came with which the agent logged off
   */
  lastSeen(key: string, ageMs: number, now: number): number | undefined {
    const activity = this.#agents.get(key);
    if (activity === undefined) return undefined;
    if (activity.inFlight > 0) return 0;
    const agoMs = now - activity.seenAt;
    return agoMs <= this.#newsWithinMs + ageMs ? agoMs : undefined;
  }

  #forgetOld(now: number): void {
    let looks = LOOKED_AT;
    for (const [key, activity] of this.#agents) {
      if (looks === 0) return;
      looks -= 1;
      this.#agents.delete(key);
      const { inFlight, seenAt, loggedOffAt } = activity;
      if (inFlight > 0 || now - seenAt <= this.#rememberedMs || now - loggedOffAt <= LOGGING_OFF_MS)
        this.#agents.set(key, activity);
    }
  }
}

function noActivity(): Activity {
  return {
    inFlight: 0,
    seenAt: Number.NEGATIVE_INFINITY,
    group: 0,
    groupBegunAt: 0,
    others: 0,
    loggedOffAt: Number.NEGATIVE_INFINITY,
  };
}
