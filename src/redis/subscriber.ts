import type { Redis } from 'ioredis';
import type { BackOff } from './back-off.ts';
import { isForbidden, unavailable } from './unavailable.ts';

export interface ChannelListener {
  onMessage(message: string): void;
  /** The subscription is active. Messages published before may have been missed. */
  onHeard(): void;
}

// An idle subscriber cannot tell a dead connection from a quiet one, so it sends a ping this often.
const HEARTBEAT_MS = 1_000;

/** The only subscribing connection of a process. It connects with the first listener. */
export class RedisSubscriber {
  readonly #client: Redis;
  readonly #backOff: BackOff;
  readonly #onState: (state: 'up' | 'down', detail: string) => void;
  readonly #listeners = new Map<string, Set<ChannelListener>>();
  /** Channels to which Redis refused a subscription because the ACL user may not use them. */
  readonly #forbidden = new Set<string>();
  #heartbeat: NodeJS.Timeout | undefined;
  #closed = false;

  /**
   * @param client not yet connected, and with `autoResubscribe` off
   * @param backOff the delays between the client's attempts to connect
   * @param onState called when Redis refuses channels, and when it allows them again
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
      for (const listener of this.#listeners.get(channel) ?? []) listener.onMessage(message);
    });
  }

  /** A channel may have several listeners: in a gateway of a single process, worker and controller share it. */
  listen(channel: string, listener: ChannelListener): void {
    const known = this.#listeners.get(channel);
    this.#listeners.set(channel, new Set([...(known ?? []), listener]));
    if (this.#heartbeat === undefined) this.#start();
    // A second subscription changes nothing at the server, and its answer tells the new listener since when it hears.
    else if (this.#client.status === 'ready') this.#subscribe(channel);
  }

  forget(channel: string, listener: ChannelListener): void {
    const left = this.#listeners.get(channel);
    if (left?.delete(listener) !== true || left.size > 0) return;
    this.#listeners.delete(channel);
    this.#forbidden.delete(channel);
    if (this.#client.status !== 'ready') return;
    this.#client.unsubscribe(channel).catch(() => {
      // Messages without a listener are dropped anyway.
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
      // The client retries by itself; its `error` event gives the reason.
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
        for (const listener of this.#listeners.get(channel) ?? []) listener.onHeard();
      },
      (error: Error) => this.#refused(channel, error),
    );
  }

  #refused(channel: string, error: Error): void {
    // Redis would refuse a new connection too, so this one subscribes again with each heartbeat.
    if (!isForbidden(error.message)) this.#reconnect();
    else if (this.#listeners.has(channel)) {
      if (this.#forbidden.size === 0) this.#onState('down', unavailable(error).message);
      this.#forbidden.add(channel);
    }
  }

  /** A connection that does not answer delivers no messages either. The `ready` event subscribes again. */
  #reconnect(): void {
    if (!this.#closed && this.#client.status === 'ready') this.#client.disconnect(true);
  }
}
