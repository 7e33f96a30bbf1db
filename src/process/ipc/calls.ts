/** The messages of a remote call. The channel may lose a call or its answer. */
export type CallMessage =
  | {
      readonly kind: 'call';
      readonly call: number;
      readonly method: string;
      readonly args: readonly unknown[];
    }
  | { readonly kind: 'return'; readonly call: number; readonly value: unknown }
  | { readonly kind: 'throw'; readonly call: number; readonly name: string; readonly message: string };

/** No answer arrived, or none in time. The peer may have carried out the call nevertheless. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed';
}

/** An error that the peer threw, with its name. */
class RemoteError extends Error {
  override readonly name: string;

  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

/** The peer is of an earlier release, which does not know the method. */
export function isUnknownMethod(error: unknown, method: string): boolean {
  return error instanceof RemoteError && error.message === unknownMethod(method);
}

// Earlier releases say the same.
function unknownMethod(method: string): string {
  return `no method is named ${method}`;
}

type Methods = { readonly [method: string]: (...args: never[]) => Promise<unknown> };

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

/** Calls to one peer, most with a time limit of their own, and the answers to the peer's calls. */
export class Calls {
  readonly #send: (message: CallMessage) => void;
  readonly #targets: readonly Methods[];
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  /** @param targets the objects whose methods the peer may call; the first one that has the method answers */
  constructor(send: (message: CallMessage) => void, ...targets: readonly object[]) {
    this.#send = send;
    this.#targets = targets as readonly Methods[];
  }

  /**
   * @param limitMs without it the call waits until the peer has answered or {@link fail} is called
   * @throws CallFailed | RemoteError
   */
  call(method: string, args: readonly unknown[], limitMs: number | undefined): Promise<unknown> {
    this.#last += 1;
    const call = this.#last;
    return new Promise((resolve, reject) => {
      const onLimit = (): void => {
        // Read the channel first: after a pause of this process, the answer may already be there.
        setImmediate(() => {
          if (this.#waiting.delete(call))
            reject(new CallFailed(`no answer to ${method} within ${limitMs} ms`));
        });
      };
      const timer = limitMs === undefined ? undefined : setTimeout(onLimit, limitMs);
      this.#waiting.set(call, { resolve, reject, timer });
      this.#send({ kind: 'call', call, method, args });
    });
  }

  /** Handles a message of a call. Returns false for any other message. */
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

  /** Rejects all pending calls, because the peer is gone. */
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
      if (target === undefined) throw new Error(unknownMethod(method));
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
