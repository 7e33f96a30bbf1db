import type { Random } from '../../src/simulator/random.ts';
import type { Gateway } from './gateway.ts';
import type { Host } from './host.ts';
import type { Scheduler } from './scheduler.ts';
import type { StoryEvent } from './story.ts';

export type PathFault = Extract<StoryEvent, { kind: 'peer-cut' | 'peer-slow' }>;

// The kernel retransmits at growing intervals.
const BACKOFF_MS = 2_000;
const NEVER = Number.POSITIVE_INFINITY;
const EVEN = 0.5;

/** The network between two gateways: messages take time, and those of a time in which it is cut come late or never. */
export class PeerPath {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  #cutUntil = 0;
  #slowUntil = 0;
  #slowBy = 0;

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  impair(event: PathFault): void {
    const until = this.#scheduler.now + event.ms;
    if (event.kind === 'peer-cut') {
      this.#cutUntil = Math.max(this.#cutUntil, until);
      return;
    }
    this.#slowUntil = Math.max(this.#slowUntil, until);
    this.#slowBy = event.delay;
  }

  /** When a message that is sent now arrives. */
  arrival(): number {
    const { now } = this.#scheduler;
    const delay = 0.2 + this.#random() * 2 + (now < this.#slowUntil ? this.#random() * this.#slowBy : 0);
    if (now >= this.#cutUntil) return now + delay;
    return this.#random() < EVEN ? NEVER : this.#cutUntil + this.#random() * BACKOFF_MS;
  }

  /** Does the kernel of a gateway that resets a connection still have what did not arrive? A box in between may have it. */
  purges(): boolean {
    return this.#random() < EVEN;
  }
}

interface Message {
  readonly take: () => void;
  isDropped: boolean;
}

/** What was sent in one direction. It arrives in that order, or nothing more arrives. */
class Direction {
  readonly #path: PeerPath;
  readonly #scheduler: Scheduler;
  readonly #to: Host;
  readonly #waiting: Message[] = [];
  #last = 0;

  constructor(path: PeerPath, scheduler: Scheduler, to: Host) {
    this.#path = path;
    this.#scheduler = scheduler;
    this.#to = to;
  }

  /** @param onDead called instead if the process that it is for has ended */
  send(take: () => void, onDead: () => void): void {
    this.#last = Math.max(this.#last, this.#path.arrival());
    if (this.#last === NEVER) return;
    this.#waiting.push({ take, isDropped: false });
    this.#scheduler.at(this.#last, () => {
      if (!this.#to.isAlive) onDead();
      // A process that is paused or overloaded reads it later.
      else this.#to.at(this.#scheduler.now, () => this.#takeNext());
    });
  }

  drop(): void {
    for (const message of this.#waiting) message.isDropped = true;
  }

  #takeNext(): void {
    const message = this.#waiting.shift();
    if (message?.isDropped === false) message.take();
  }
}

/** One connection from a gateway to a peer. */
export class PeerConnection {
  readonly from: Gateway;
  readonly to: Gateway;
  readonly #path: PeerPath;
  readonly #there: Direction;
  readonly #back: Direction;
  onClosed = (): void => {};
  onReset = (): void => {};

  constructor(path: PeerPath, from: Gateway, to: Gateway) {
    const { scheduler } = from.world;
    this.from = from;
    this.to = to;
    this.#path = path;
    this.#there = new Direction(path, scheduler, to.host);
    this.#back = new Direction(path, scheduler, from.host);
  }

  /** Sends something to the peer. */
  send(take: () => void): void {
    this.#there.send(take, () => this.closeByPeer());
  }

  answer(take: () => void): void {
    this.#back.send(take, () => {});
  }

  /** The sender gives it up, or its process has ended. */
  reset(): void {
    if (this.#path.purges()) this.#there.drop();
    this.#there.send(
      () => this.onReset(),
      () => {},
    );
  }

  /** The process of the peer has ended. */
  closeByPeer(): void {
    this.answer(() => this.onClosed());
  }
}
