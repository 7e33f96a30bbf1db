import type { AnswerDeadlines } from '../../src/coordination/answer-deadline.ts';
import type { Random } from '../../src/simulator/random.ts';
import type { Host } from './host.ts';
import type { Scheduler } from './scheduler.ts';
import type { Answers, Command, Store } from './store.ts';
import type { StoryEvent } from './story.ts';
import { STORE_TIMEOUT_MS } from './times.ts';

type LinkFault = Extract<
  StoryEvent,
  { kind: 'store-cut' | 'store-lossy' | 'store-slow' | 'store-far' | 'store-partial' | 'deaf' }
>;

/** The commands that fail, and how. */
type PartialStore = Pick<Extract<StoryEvent, { kind: 'store-partial' }>, 'commands' | 'refused'>;

const COMMANDS: Readonly<Record<PartialStore['commands'], readonly Command['kind'][]>> = {
  bindings: ['claim', 'rebind', 'lookup', 'release'],
  agreement: ['sync', 'propose', 'commitPolicy'],
  'write-backs': ['restore'],
};

/** The faults between one replica and the store, and their ends. */
export interface LinkFaults {
  requestsLostUntil: number;
  repliesLostUntil: number;
  lossyUntil: number;
  lossShare: number;
  slowUntil: number;
  slowBy: number;
  farUntil: number;
  /** In both directions. */
  farBy: number;
  partialUntil: number;
  partial: PartialStore;
  deafUntil: number;
}

function noLinkFaults(): LinkFaults {
  return {
    requestsLostUntil: 0,
    repliesLostUntil: 0,
    lossyUntil: 0,
    lossShare: 0,
    slowUntil: 0,
    slowBy: 0,
    farUntil: 0,
    farBy: 0,
    partialUntil: 0,
    partial: { commands: 'bindings', refused: true },
    deafUntil: 0,
  };
}

const REFUSED_MS = 1;
const LATE_TIMER_MS = 20;

/**
 * The network between one replica and the store: messages take time, get lost,
 * overtake each other, and may be carried out long after the sender has given up.
 */
export class Link {
  readonly faults = noLinkFaults();
  /** The true time of the view store's last answer. */
  repliedAt = Number.NEGATIVE_INFINITY;
  readonly #scheduler: Scheduler;
  readonly #store: Store;
  readonly #random: Random;

  constructor(scheduler: Scheduler, store: Store, random: Random) {
    this.#scheduler = scheduler;
    this.#store = store;
    this.#random = random;
  }

  /** Begins a fault. */
  impair(event: LinkFault): void {
    const { faults } = this;
    const until = this.#scheduler.now + event.ms;
    const later = (before: number): number => Math.max(before, until);
    switch (event.kind) {
      case 'store-cut':
        if (event.lost !== 'replies') faults.requestsLostUntil = later(faults.requestsLostUntil);
        if (event.lost !== 'requests') faults.repliesLostUntil = later(faults.repliesLostUntil);
        return;
      case 'store-lossy':
        faults.lossyUntil = later(faults.lossyUntil);
        faults.lossShare = event.share;
        return;
      case 'store-slow':
        faults.slowUntil = later(faults.slowUntil);
        faults.slowBy = event.delay;
        return;
      case 'store-far':
        faults.farUntil = later(faults.farUntil);
        faults.farBy = event.delay;
        return;
      case 'store-partial':
        faults.partialUntil = later(faults.partialUntil);
        faults.partial = event;
        return;
      case 'deaf':
        faults.deafUntil = later(faults.deafUntil);
    }
  }

  /** Calls either `onReply` or `onFail`, once, unless the host dies before. `patience` is that of `coordination/answer-deadline.ts`. */
  ask<C extends Command>(
    host: Host,
    command: C,
    onReply: (reply: Answers[C['kind']]) => void,
    onFail: (wasLate: boolean) => void,
    patience?: AnswerDeadlines<Answers[C['kind']]>,
  ): void {
    const sentAt = this.#scheduler.now;
    const { incarnation } = this.#store;
    let isOver = false;
    const fail = (at: number): void => {
      host.at(at, () => {
        if (isOver) return;
        isOver = true;
        onFail(this.#scheduler.now - at > LATE_TIMER_MS);
      });
    };
    const timeout = sentAt + (patience?.limitMs ?? STORE_TIMEOUT_MS);
    if (patience !== undefined) host.at(sentAt + patience.doubtMs, () => isOver || patience.onDoubt(false));
    const { partialUntil, partial } = this.faults;
    if (sentAt < partialUntil && COMMANDS[partial.commands].includes(command.kind)) {
      fail(partial.refused ? sentAt + REFUSED_MS : timeout);
      return;
    }
    if (this.#isLost(this.faults.requestsLostUntil)) {
      fail(timeout);
      return;
    }
    if (this.#store.isDown) {
      fail(sentAt + REFUSED_MS);
      return;
    }
    const arrive = (): void => {
      const now = this.#scheduler.now;
      if (this.#store.isDown || this.#store.incarnation !== incarnation) {
        // The connection broke; a replica that is cut off does not even notice.
        fail(now < this.faults.repliesLostUntil ? Math.max(now, timeout) : now + REFUSED_MS);
        return;
      }
      if (now < this.#store.hangsUntil) {
        if (now < timeout) fail(timeout);
        this.#scheduler.at(this.#store.hangsUntil, arrive);
        return;
      }
      const reply = this.#store.execute(command, now);
      const back = now + this.#delay();
      const isLost = this.#isLost(this.faults.repliesLostUntil);
      if (isLost || back > timeout) fail(Math.max(now, timeout));
      if (isLost) return;
      host.at(back, () => {
        if (isOver) {
          patience?.onLate(reply);
          return;
        }
        isOver = true;
        // An answered claim does not count as an answer of the view store: a gateway counts its syncs.
        if (command.kind === 'sync') this.repliedAt = this.#scheduler.now;
        onReply(reply);
      });
    };
    this.#scheduler.after(this.#delay(), arrive);
  }

  /** Delivers news of the store to the host. */
  hear(host: Host, deliver: () => void): void {
    const now = this.#scheduler.now;
    if (now < this.faults.deafUntil || this.#isLost(this.faults.repliesLostUntil)) return;
    host.at(now + this.#delay(), deliver);
  }

  #isLost(until: number): boolean {
    const now = this.#scheduler.now;
    return now < until || (now < this.faults.lossyUntil && this.#random() < this.faults.lossShare);
  }

  #delay(): number {
    const { slowUntil, slowBy, farUntil, farBy } = this.faults;
    const { now } = this.#scheduler;
    let delay = 1 + this.#random() * 3;
    if (now < slowUntil) delay += this.#random() * slowBy;
    if (now < farUntil) delay += (farBy / 2) * (0.9 + this.#random() * 0.2);
    return delay;
  }
}
