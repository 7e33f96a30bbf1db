import { Channel } from './channel.ts';
import type {
  ChildId,
  Destination,
  FromChild,
  HostAnswer,
  HostEvent,
  HostRequest,
  ToChild,
} from './messages.ts';

export interface LocalChannelsOptions {
  readonly onSettled: () => void;
  readonly onRequest: (what: HostRequest) => Promise<HostAnswer>;
}

/**
 * In-memory channels between a controller and workers in one process, instead of those that `fork` opens.
 *
 * As between processes, messages arrive asynchronously, in the order of sending. They are not copied: a copy would slow
 * every claim on the embedded store, and no sender changes a message that it has sent. Events arrive synchronously,
 * because a change of the gateway's state must show at once.
 */
export class LocalChannels {
  readonly #options: LocalChannelsOptions;
  readonly #receivers = new Map<ChildId, (message: ToChild) => void>();

  constructor(options: LocalChannelsOptions) {
    this.#options = options;
  }

  open(id: ChildId): Channel {
    return new Channel({
      on: (_event, handler) => this.#receivers.set(id, handler),
      send: (message) => this.#onMessage(id, message),
    });
  }

  /** Drops further messages to this child, because it has ended. */
  close(id: ChildId): void {
    this.#receivers.delete(id);
  }

  tell(to: ChildId, event: HostEvent): void {
    this.#receivers.get(to)?.(event);
  }

  broadcast(event: HostEvent): void {
    for (const id of this.#receivers.keys()) this.tell(id, event);
  }

  #onMessage(from: ChildId, message: FromChild): void {
    switch (message.kind) {
      case 'relay':
        for (const id of this.#named(message.to, from))
          queueMicrotask(() => this.#receivers.get(id)?.({ kind: 'relayed', from, body: message.body }));
        break;
      case 'request':
        void this.#options.onRequest(message.what).then((answer) => {
          this.#receivers.get(from)?.({ kind: 'answer', request: message.request, answer });
        });
        break;
      case 'settled':
        this.#options.onSettled();
        break;
    }
  }

  #named(to: Destination, from: ChildId): ChildId[] {
    if (to !== 'workers') return [to];
    return [...this.#receivers.keys()].filter((id) => id !== 'controller' && id !== from);
  }
}
