import type { Redis } from 'ioredis';

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
  readonly #listeners = new Map<string, ChannelListener>();
  #heartbeat: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param client not yet connected, and with `autoResubscribe` off */
  constructor(client: Redis) {
    this.#client = client;
    client.on('ready', () => {
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
      if (this.#client.status === 'ready') this.#client.ping().catch(() => this.#reconnect());
    }, HEARTBEAT_MS).unref();
  }

  #subscribe(channel: string): void {
    this.#client.subscribe(channel).then(
      () => this.#listeners.get(channel)?.onHeard(),
      () => this.#reconnect(),
    );
  }

  /** A connection that cannot be asked for is not one to hear from; `ready` subscribes afresh. */
  #reconnect(): void {
    if (!this.#closed && this.#client.status === 'ready') this.#client.disconnect(true);
  }
}
