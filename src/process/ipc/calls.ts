/** A call over a channel that may lose it, or its answer. */
export type CallMessage =
  | {
      readonly kind: 'call';
      readonly call: number;
      readonly method: string;
      readonly args: readonly unknown[];
    }
  | { readonly kind: 'return'; readonly call: number; readonly value: unknown }
  | { readonly kind: 'throw'; readonly call: number; readonly name: string; readonly message: string };

/** No answer, or none in time. What was called may have been done. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed';
}

/** What the other side threw, by its name. */
export class RemoteError extends Error {
  override readonly name: string;

  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

type Methods = { readonly [method: string]: (...args: never[]) => Promise<unknown> };

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Calls to one peer, each with a limit of its own, and the answers to those of the peer. */
export class Calls {
  readonly #send: (message: CallMessage) => void;
  readonly #targets: readonly Methods[];
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  /** @param targets whose methods the peer may call; the first that has one answers */
  constructor(send: (message: CallMessage) => void, ...targets: readonly object[]) {
    this.#send = send;
    this.#targets = targets as readonly Methods[];
  }

  /** @throws CallFailed | RemoteError */
  call(method: string, args: readonly unknown[], limitMs: number): Promise<unknown> {
    this.#last += 1;
    const call = this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        // After the next look at the channel: a process that stood still may have had its answer for long.
        setImmediate(() => {
          if (this.#waiting.delete(call))
            reject(new CallFailed(`no answer to ${method} within ${limitMs} ms`));
        });
      }, limitMs);
      this.#waiting.set(call, { resolve, reject, timer });
      this.#send({ kind: 'call', call, method, args });
    });
  }

  /** Returns false for what is no message of calls. */
  take(message: unknown): boolean {
    if (!isCallMessage(message)) return false;
    if (message.kind === 'call') {
      void this.#answer(message.call, message.method, message.args);
      return true;
    }
    const waiting = this.#waiting.get(message.call);
    if (waiting === undefined) return true;
    this.#waiting.delete(message.call);
    clearTimeout(waiting.timer);
    if (message.kind === 'return') waiting.resolve(message.value);
    else waiting.reject(new RemoteError(message.name, message.message));
    return true;
  }

  /** The peer is gone: nothing that it was asked will be answered. */
  fail(reason: string): void {
    for (const [call, { reject, timer }] of [...this.#waiting]) {
      this.#waiting.delete(call);
      clearTimeout(timer);
      reject(new CallFailed(reason));
    }
  }

  async #answer(call: number, method: string, args: readonly unknown[]): Promise<void> {
    try {
      const target = this.#targets.find((one) => method in one);
      if (target === undefined) throw new Error(`nothing is called ${method}`);
      this.#send({ kind: 'return', call, value: await target[method]?.(...(args as never[])) });
    } catch (error) {
      const { name, message } = error as Error;
      this.#send({ kind: 'throw', call, name, message });
    }
  }
}

function isCallMessage(message: unknown): message is CallMessage {
  const { kind } = message as { kind?: unknown };
  return kind === 'call' || kind === 'return' || kind === 'throw';
}
