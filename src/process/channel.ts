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

/** The child's end of the channel. It also tells the entry point when to start (`init`) and when to end (`shutdown`). */
export class Channel implements HostChannel {
  readonly #port: ChannelPort;
  readonly #pending = new Map<number, (answer: HostAnswer) => void>();
  readonly #messages = new Mailbox<{ body: unknown; from: ChildId }>();
  readonly #events = new Mailbox<HostEvent>();
  #requests = 0;
  #onInit: (init: Init) => void = () => undefined;
  #onShutdown: (command: ShutdownCommand) => void = () => undefined;
  readonly init: Promise<Init> = new Promise((resolve) => {
    this.#onInit = resolve;
  });
  readonly shutdown: Promise<ShutdownCommand> = new Promise((resolve) => {
    this.#onShutdown = resolve;
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
      this.#pending.set(request, resolve);
    });
  }

  send(to: Destination, body: unknown): void {
    this.#port.send({ kind: 'relay', to, body });
  }

  onMessage(handler: (body: unknown, from: ChildId) => void): void {
    this.#messages.setHandler(({ body, from }) => handler(body, from));
  }

  onEvent(handler: (event: HostEvent) => void): void {
    this.#events.setHandler(handler);
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
    const { message, code, address, port, path } = error as NodeJS.ErrnoException & FailureDetails;
    this.#port.send({
      kind: 'failed',
      message: message ?? String(error),
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof address === 'string' ? { address } : {}),
      ...(typeof port === 'number' ? { port } : {}),
      ...(typeof path === 'string' ? { path } : {}),
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
        this.#pending.get(message.request)?.(message.answer);
        this.#pending.delete(message.request);
        return;
      case 'drain':
      case 'handover':
      case 'leave':
        this.#onShutdown(message);
        return;
      default:
        this.#events.put(message);
    }
  }
}

/** Queues items until a handler is set, then passes them to that handler. */
class Mailbox<T> {
  #handler: ((item: T) => void) | undefined;
  #waiting: T[] = [];

  put(item: T): void {
    if (this.#handler === undefined) this.#waiting.push(item);
    else this.#handler(item);
  }

  setHandler(handler: (item: T) => void): void {
    // A second handler would have missed the items that the first one received.
    if (this.#handler !== undefined) throw new Error('a handler is already set');
    this.#handler = handler;
    for (const item of this.#waiting.splice(0)) handler(item);
  }
}
