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
 * Channels for a controller and workers that live in one process, in place of those that `fork` opens.
 *
 * A message arrives after the step in which it was sent, in the order of sending, as it does between processes. It is
 * handed over as it is: a copy would cost every claim on the embedded store, and no sender changes what it has sent.
 * An event arrives at once, because the state of the gateway is shown as soon as it changes.
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

  /** The child has ended: what is sent to it is dropped. */
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
