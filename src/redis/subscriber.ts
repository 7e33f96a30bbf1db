import type { Redis } from 'ioredis';
import type { BackOff } from './back-off.ts';
import { isForbidden, unavailable } from './unavailable.ts';

export interface ChannelListener {
  onMessage(message: string): void;
  /** The channel is heard from now on. What was published before may have been missed. */
  onHeard(): void;
}

// How long a connection that died in silence goes unnoticed: an idle subscriber hears nothing either way.
const HEARTBEAT_MS = 1_000;

/** The one subscribing connection of a process. It connects when there is something to hear. */
export class RedisSubscriber {
  readonly #client: Redis;
  readonly #backOff: BackOff;
  readonly #onState: (state: 'up' | 'down', detail: string) => void;
  readonly #listeners = new Map<string, ChannelListener>();
  /** Channels that the user may not hear, on a connection that is up. */
  readonly #forbidden = new Set<string>();
  #heartbeat: NodeJS.Timeout | undefined;
  #closed = false;

  /**
   * @param client not yet connected, and with `autoResubscribe` off
   * @param backOff by which the client connects again
   * @param onState told when channels are forbidden, and when they are not any more
   */
  constructor(client: Redis, backOff: BackOff, onState: (state: 'up' | 'down', detail: string) => void) {
    this.#client = client;
    this.#backOff = backOff;
    this.#onState = onState;
    client.on('ready', () => {
      this.#forbidden.clear();
      for (const channel of this.#listeners.keys()) this.#subscribe(channel);
    });
    client.on('message', (channel: string, message: string) => {
      this.#listeners.get(channel)?.onMessage(message);
    });
  }

  /** One listener per channel; a second one replaces the first. */
  listen(channel: string, listener: ChannelListener): void {
    const known = this.#listeners.has(channel);
    this.#listeners.set(channel, listener);
    if (this.#heartbeat === undefined) this.#start();
    else if (!known && this.#client.status === 'ready') this.#subscribe(channel);
  }

  forget(channel: string): void {
    this.#forbidden.delete(channel);
    if (!this.#listeners.delete(channel) || this.#client.status !== 'ready') return;
    this.#client.unsubscribe(channel).catch(() => {
      // Without a listener its messages are dropped anyway.
    });
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#listeners.clear();
    this.#client.disconnect();
  }

  #start(): void {
    this.#client.connect().catch(() => {
      // The client keeps trying by itself; its `error` event tells why.
    });
    this.#heartbeat = setInterval(() => {
      if (this.#client.status !== 'ready') return;
      this.#client.ping().then(
        () => this.#backOff.healthy(),
        () => this.#reconnect(),
      );
      for (const channel of this.#forbidden) this.#subscribe(channel);
    }, HEARTBEAT_MS).unref();
  }

  #subscribe(channel: string): void {
    this.#client.subscribe(channel).then(
      () => {
        if (this.#forbidden.delete(channel) && this.#forbidden.size === 0) this.#onState('up', 'allowed');
        this.#listeners.get(channel)?.onHeard();
      },
      (error: Error) => this.#refused(channel, error),
    );
  }

  #refused(channel: string, error: Error): void {
    // A new connection would be refused it as well: this one asks again with each heartbeat.
    if (!isForbidden(error.message)) this.#reconnect();
    else if (this.#listeners.has(channel)) {
      if (this.#forbidden.size === 0) this.#onState('down', unavailable(error).message);
      this.#forbidden.add(channel);
    }
  }

  /** A connection that cannot be asked for is not one to hear from; `ready` subscribes afresh. */
  #reconnect(): void {
    if (!this.#closed && this.#client.status === 'ready') this.#client.disconnect(true);
  }
}
