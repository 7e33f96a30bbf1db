import type { ReadConfig } from '../config/read-config.ts';
import type { Config } from '../config/schema.ts';
import type { ChildPort, StartChild } from './child-port.ts';
import { fdsOf, inheritedAs } from './child-port.ts';
import type { SocketsByName } from './host-sockets.ts';
import type {
  ChildId,
  ChildRole,
  Destination,
  FailureDetails,
  FromChild,
  HostAnswer,
  HostEvent,
  HostRequest,
  InheritedSocket,
  Init,
  LiveChild,
  ShutdownCommand,
  SocketName,
  ToChild,
} from './messages.ts';
import { PROTOCOL } from './messages.ts';
import type { LoadedProcess } from './standby-process.ts';

/** What the registry needs from the supervisor, which makes all decisions. */
export interface ProcessRegistryOptions {
  readonly startChild: StartChild;
  /** The current values for a child's first message. */
  readonly initOf: () => Pick<Init, 'replica' | 'secret' | 'lifecycle' | 'logLevel' | 'host'>;
  /** The sockets of the role. */
  readonly socketsOf: (role: ChildRole, config: Config) => SocketsByName;
  readonly onSettled: () => void;
  readonly onRequest: (what: HostRequest) => Promise<HostAnswer>;
  /** How long a child may take to become ready, in milliseconds. */
  readonly readyMs: number;
}

// A child that cuts off its requests needs this time to count and log them before the supervisor kills it.
const EXIT_GRACE_MS = 1_500;

/** The reason that a child gives when it cannot start. */
class ChildFailed extends Error {
  readonly code: string | undefined;
  readonly address: string | undefined;
  readonly port: number | undefined;
  readonly path: string | undefined;

  constructor(message: string, { code, address, port, path }: FailureDetails = {}) {
    super(message);
    this.code = code;
    this.address = address;
    this.port = port;
    this.path = path;
  }
}

/** A started process that has not ended yet. */
export interface LiveProcess extends LiveChild {
  readonly role: ChildRole;
  readonly isReady: boolean;
  /** The time of its last heartbeat, in monotonic ms. */
  readonly lastHeartbeatAt: number;
  /** Rejects with {@link ChildFailed} if it ends before it is ready, or takes too long and is killed. */
  readonly ready: Promise<void>;
  /** Resolves with a text that says how it ended. */
  readonly exited: Promise<string>;
  /** Sends the shutdown command, kills the process if it has not ended after `graceMs`, and resolves when it has ended. */
  end(command: ShutdownCommand): Promise<void>;
  kill(): void;
}

/**
 * The live processes and the messages between them. It keeps the order that
 * {@link HostEvent} promises, and never inspects the messages that it relays.
 */
export class ProcessRegistry {
  readonly #options: ProcessRegistryOptions;
  readonly #live = new Map<ChildId, ManagedProcess>();
  #workers = 0;

  constructor(options: ProcessRegistryOptions) {
    this.#options = options;
  }

  get workers(): LiveProcess[] {
    return this.#members('worker');
  }

  get controller(): LiveProcess | undefined {
    return this.#live.get('controller');
  }

  /**
   * Starts a child. Only one controller may be alive at a time: the previous one must have ended.
   *
   * @param standby the standby process that becomes the child; without it a new process starts
   */
  start(
    role: ChildRole,
    { config, shownConfig, shownOptions }: ReadConfig,
    standby?: LoadedProcess,
  ): LiveProcess {
    if (role === 'worker') this.#workers += 1;
    const id: ChildId = role === 'worker' ? `worker-${this.#workers}` : 'controller';
    if (this.#live.has(id)) throw new Error(`${id} is already running`);
    const sockets = this.#options.socketsOf(role, config);
    const onMessage = (message: FromChild): void => this.#onMessage(child, message);
    const port = standby?.port ?? this.#options.startChild({ role, fds: fdsOf(sockets), onMessage });
    const child = new ManagedProcess(id, role, port, this.#options.readyMs);
    standby?.setMessageHandler(onMessage);
    const inherited = Object.entries(inheritedAs(standby?.sockets ?? sockets)) as [
      SocketName,
      InheritedSocket,
    ][];
    this.#live.set(id, child);
    // The controller counts a worker from before it can act until it certainly no longer acts.
    if (role === 'worker') this.#sendEvent('controller', { kind: 'worker-started', worker: child.summary });
    child.send({
      kind: 'init',
      protocol: PROTOCOL,
      role,
      id,
      config,
      shownConfig,
      ...(role === 'controller' ? { shownOptions } : {}),
      ...this.#options.initOf(),
      workers: this.#members('worker')
        .filter((other) => other !== child)
        .map(({ summary }) => summary),
      controllerReady: this.controller?.isReady === true,
      sockets: Object.fromEntries(inherited.filter(([name]) => name in sockets)),
      surplusFds: inherited.filter(([name]) => !(name in sockets)).map(([, { fd }]) => fd),
    });
    void child.exited.then(() => this.#onExit(child));
    return child;
  }

  broadcast(event: HostEvent): void {
    for (const child of this.#live.values()) child.send(event);
  }

  #members(role: ChildRole): ManagedProcess[] {
    return [...this.#live.values()].filter((child) => child.role === role);
  }

  #sendEvent(to: 'controller' | 'workers', event: HostEvent): void {
    for (const child of this.#members(to === 'workers' ? 'worker' : 'controller')) child.send(event);
  }

  #onExit(child: ManagedProcess): void {
    this.#live.delete(child.id);
    if (child.role === 'worker')
      this.#sendEvent('controller', { kind: 'worker-gone', worker: child.summary });
    else if (child.isReady) this.#sendEvent('workers', { kind: 'controller-gone' });
  }

  #onMessage(from: ManagedProcess, message: FromChild): void {
    switch (message.kind) {
      case 'ready':
        from.markReady();
        if (from.role === 'controller') this.#sendEvent('workers', { kind: 'controller-ready' });
        return;
      case 'alive':
        from.markAlive();
        return;
      case 'settled':
        this.#options.onSettled();
        return;
      case 'failed':
        from.fail(new ChildFailed(message.message, message));
        return;
      case 'relay':
        this.#relay(from, message.to, message.body);
        return;
      case 'request':
        void this.#options.onRequest(message.what).then((answer) => {
          from.send({ kind: 'answer', request: message.request, answer });
        });
    }
  }

  #relay(from: ManagedProcess, to: Destination, body: unknown): void {
    const message: ToChild = { kind: 'relayed', from: from.id, body };
    if (to !== 'workers') this.#live.get(to)?.send(message);
    else for (const worker of this.#members('worker')) if (worker !== from) worker.send(message);
  }
}

class ManagedProcess implements LiveProcess {
  readonly id: ChildId;
  readonly role: ChildRole;
  readonly startedAt = Date.now();
  readonly ready: Promise<void>;
  readonly exited: Promise<string>;
  readonly #port: ChildPort;
  readonly #readyTimer: NodeJS.Timeout;
  #isReady = false;
  #lastHeartbeatAt = performance.now();
  #failure: ChildFailed | undefined;
  #settle: { resolve: () => void; reject: (error: ChildFailed) => void } | undefined;

  constructor(id: ChildId, role: ChildRole, port: ChildPort, readyMs: number) {
    this.id = id;
    this.role = role;
    this.#port = port;
    this.ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Some callers start a child without waiting for it; avoid an unhandled rejection.
    this.ready.catch(() => undefined);
    this.#readyTimer = setTimeout(() => {
      this.fail(new ChildFailed(`it was not ready within ${readyMs / 1000} s`));
      this.kill();
    }, readyMs);
    this.exited = this.#port.exited.then((how) => {
      clearTimeout(this.#readyTimer);
      this.fail(new ChildFailed(how));
      return this.#failure === undefined || this.#failure.message === how
        ? how
        : `${this.#failure.message} (${how})`;
    });
  }

  get pid(): number {
    return this.#port.pid;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get lastHeartbeatAt(): number {
    return this.#lastHeartbeatAt;
  }

  get summary(): LiveChild {
    const { id, pid, startedAt, isReady } = this;
    return { id, pid, startedAt, isReady };
  }

  send(message: ToChild): void {
    this.#port.send(message);
  }

  kill(): void {
    this.#port.kill();
  }

  markAlive(): void {
    this.#lastHeartbeatAt = performance.now();
  }

  markReady(): void {
    this.markAlive();
    clearTimeout(this.#readyTimer);
    this.#isReady = true;
    this.#settle?.resolve();
  }

  /** No effect once the child is ready or has already failed. */
  fail(failure: ChildFailed): void {
    if (this.#isReady) return;
    this.#failure ??= failure;
    this.#settle?.reject(this.#failure);
  }

  async end(command: ShutdownCommand): Promise<void> {
    const { graceMs } = command;
    this.send({ ...command, graceMs: graceMs - Math.min(EXIT_GRACE_MS, graceMs / 4) });
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.exited;
    clearTimeout(timer);
  }
}
