import type {
  ChildId,
  Destination,
  FailureDetails,
  FromChild,
  HostAnswer,
  HostChannel,
  HostEvent,
  HostRequest,
  Init,
  ShutdownCommand,
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
  #onFarewell: (command: ShutdownCommand) => void = () => undefined;
  readonly init: Promise<Init> = new Promise((resolve) => {
    this.#onInit = resolve;
  });
  readonly farewell: Promise<ShutdownCommand> = new Promise((resolve) => {
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
    this.#messages.open(({ body, from }) => handler(body, from));
  }

  onEvent(handler: (event: HostEvent) => void): void {
    this.#events.open(handler);
  }

  settled(): void {
    this.#port.send({ kind: 'settled' });
  }

  loaded(): void {
    this.#port.send({ kind: 'loaded' });
  }

  ready(): void {
    this.#port.send({ kind: 'ready' });
  }

  alive(): void {
    this.#port.send({ kind: 'alive' });
  }

  failed(error: unknown): void {
    const { message, code, address, port } = error as NodeJS.ErrnoException & FailureDetails;
    this.#port.send({
      kind: 'failed',
      message: message ?? String(error),
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof address === 'string' ? { address } : {}),
      ...(typeof port === 'number' ? { port } : {}),
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

/** Keeps what arrives until somebody wants it; from then on it is his. */
class Mailbox<T> {
  #handler: ((item: T) => void) | undefined;
  #waiting: T[] = [];

  put(item: T): void {
    if (this.#handler === undefined) this.#waiting.push(item);
    else this.#handler(item);
  }

  open(handler: (item: T) => void): void {
    // A second one would have missed what the first was given.
    if (this.#handler !== undefined) throw new Error('somebody listens already');
    this.#handler = handler;
    for (const item of this.#waiting.splice(0)) handler(item);
  }
}
