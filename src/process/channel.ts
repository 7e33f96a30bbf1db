import type {
  ChildId,
  Destination,
  Farewell,
  FromChild,
  HostAnswer,
  HostChannel,
  HostEvent,
  HostRequest,
  Init,
  ToChild,
} from './messages.ts';

/** The end of the channel that a forked process holds in its `process`. */
export interface ChannelPort {
  on(event: 'message', handler: (message: ToChild) => void): unknown;
  send(message: FromChild): void;
}

/** The channel of a child. Also gives, to its entry point, when it is to begin and when to end. */
export class Channel implements HostChannel {
  readonly #port: ChannelPort;
  readonly #asked = new Map<number, (answer: HostAnswer) => void>();
  readonly #messages = new Mailbox<{ body: unknown; from: ChildId }>();
  readonly #events = new Mailbox<HostEvent>();
  #requests = 0;
  #onInit: (init: Init) => void = () => undefined;
  #onFarewell: (farewell: Farewell) => void = () => undefined;
  readonly init: Promise<Init> = new Promise((resolve) => {
    this.#onInit = resolve;
  });
  readonly farewell: Promise<Farewell> = new Promise((resolve) => {
    this.#onFarewell = resolve;
  });

  constructor(port: ChannelPort) {
    this.#port = port;
    port.on('message', (message) => this.#onMessage(message));
  }

  ask(what: HostRequest): Promise<HostAnswer> {
    this.#requests += 1;
    const request = this.#requests;
    this.#port.send({ kind: 'request', request, what });
    return new Promise((resolve) => {
      this.#asked.set(request, resolve);
    });
  }

  send(to: Destination, body: unknown): void {
    this.#port.send({ kind: 'relay', to, body });
  }

  onMessage(handler: (body: unknown, from: ChildId) => void): void {
    this.#messages.add(({ body, from }) => handler(body, from));
  }

  onEvent(handler: (event: HostEvent) => void): void {
    this.#events.add(handler);
  }

  settled(): void {
    this.#port.send({ kind: 'settled' });
  }

  ready(): void {
    this.#port.send({ kind: 'ready' });
  }

  failed(error: unknown): void {
    const { message, code } = error as NodeJS.ErrnoException;
    this.#port.send({
      kind: 'failed',
      message: message ?? String(error),
      ...(typeof code === 'string' ? { code } : {}),
    });
  }

  #onMessage(message: ToChild): void {
    switch (message.kind) {
      case 'init':
        this.#onInit(message);
        return;
      case 'relayed':
        this.#messages.put(message);
        return;
      case 'answer':
        this.#asked.get(message.request)?.(message.answer);
        this.#asked.delete(message.request);
        return;
      case 'drain':
      case 'handover':
      case 'leave':
        this.#onFarewell(message);
        return;
      default:
        this.#events.put(message);
    }
  }
}

/** Keeps what arrives until somebody wants it. */
class Mailbox<T> {
  readonly #handlers: ((item: T) => void)[] = [];
  #waiting: T[] = [];

  put(item: T): void {
    if (this.#handlers.length === 0) this.#waiting.push(item);
    for (const handler of this.#handlers) handler(item);
  }

  add(handler: (item: T) => void): void {
    this.#handlers.push(handler);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const item of waiting) handler(item);
  }
}
