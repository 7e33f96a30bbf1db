import { effectiveConfig } from '../config/effective.ts';
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

/** What the roster asks of the supervisor, which decides everything. */
export interface ProcessRegistryOptions {
  readonly startChild: StartChild;
  /** What every child is told first, as of now. */
  readonly initOf: () => Pick<Init, 'replica' | 'secret' | 'lifecycle' | 'logLevel' | 'host'>;
  /** What the role listens on. */
  readonly socketsOf: (role: ChildRole, config: Config) => SocketsByName;
  readonly onSettled: () => void;
  readonly onRequest: (what: HostRequest) => Promise<HostAnswer>;
  /** How long a child may take to be ready, in milliseconds. */
  readonly readyMs: number;
}

// Whoever cuts off what is under way is to count it and to log it before it is killed.
const LAST_WORDS_MS = 1_500;

/** What a child said that could not start. */
export class ChildFailed extends Error {
  readonly code: string | undefined;
  readonly address: string | undefined;
  readonly port: number | undefined;

  constructor(message: string, { code, address, port }: FailureDetails = {}) {
    super(message);
    this.code = code;
    this.address = address;
    this.port = port;
  }
}

/** One process that was started and has not ended yet. */
export interface LiveProcess extends LiveChild {
  readonly role: ChildRole;
  readonly isReady: boolean;
  /** When its event loop was last heard of, in monotonic ms. */
  readonly heardAt: number;
  /** Rejects with {@link ChildFailed} where it ends before, or takes too long; then it is killed. */
  readonly ready: Promise<void>;
  /** Resolves with how it ended, in words. */
  readonly exited: Promise<string>;
  /** Asks it to end, kills it when it has not ended after the farewell's grace, and resolves when it has ended. */
  end(command: ShutdownCommand): Promise<void>;
  kill(): void;
}

/**
 * The processes that live, and the messages between them. It holds the order
 * that {@link HostEvent} promises, and never looks into what it relays.
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
   * There may be one controller at a time: the last one must have ended.
   *
   * @param standby becomes the child; without it a process is started
   */
  start(role: ChildRole, config: Config, standby?: LoadedProcess): LiveProcess {
    if (role === 'worker') this.#workers += 1;
    const id: ChildId = role === 'worker' ? `worker-${this.#workers}` : 'controller';
    if (this.#live.has(id)) throw new Error(`${id} lives already`);
    const sockets = this.#options.socketsOf(role, config);
    const onMessage = (message: FromChild): void => this.#onMessage(member, message);
    const port = standby?.port ?? this.#options.startChild({ role, fds: fdsOf(sockets), onMessage });
    const member = new ManagedProcess(id, role, port, this.#options.readyMs);
    standby?.hear(onMessage);
    const inherited = Object.entries(inheritedAs(standby?.sockets ?? sockets)) as [
      SocketName,
      InheritedSocket,
    ][];
    this.#live.set(id, member);
    // The controller counts a worker from before it can act until it certainly acts no more.
    if (role === 'worker') this.#tell('controller', { kind: 'worker-started', worker: member.shown });
    member.send({
      kind: 'init',
      protocol: PROTOCOL,
      role,
      id,
      config,
      shownConfig: effectiveConfig(config),
      ...this.#options.initOf(),
      workers: this.#members('worker')
        .filter((other) => other !== member)
        .map(({ shown }) => shown),
      controllerReady: this.controller?.isReady === true,
      sockets: Object.fromEntries(inherited.filter(([name]) => name in sockets)),
      surplusFds: inherited.filter(([name]) => !(name in sockets)).map(([, { fd }]) => fd),
    });
    void member.exited.then(() => this.#onExit(member));
    return member;
  }

  broadcast(event: HostEvent): void {
    for (const member of this.#live.values()) member.send(event);
  }

  #members(role: ChildRole): ManagedProcess[] {
    return [...this.#live.values()].filter((member) => member.role === role);
  }

  #tell(to: 'controller' | 'workers', event: HostEvent): void {
    for (const member of this.#members(to === 'workers' ? 'worker' : 'controller')) member.send(event);
  }

  #onExit(member: ManagedProcess): void {
    this.#live.delete(member.id);
    if (member.role === 'worker') this.#tell('controller', { kind: 'worker-gone', worker: member.shown });
    else if (member.isReady) this.#tell('workers', { kind: 'controller-gone' });
  }

  #onMessage(from: ManagedProcess, message: FromChild): void {
    switch (message.kind) {
      case 'ready':
        from.markReady();
        if (from.role === 'controller') this.#tell('workers', { kind: 'controller-ready' });
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
  readonly #late: NodeJS.Timeout;
  #isReady = false;
  #heardAt = performance.now();
  #failure: ChildFailed | undefined;
  #settle: { resolve: () => void; reject: (error: ChildFailed) => void } | undefined;

  constructor(id: ChildId, role: ChildRole, port: ChildPort, readyMs: number) {
    this.id = id;
    this.role = role;
    this.#port = port;
    this.ready = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Not everybody who starts a child waits for it.
    this.ready.catch(() => undefined);
    this.#late = setTimeout(() => {
      this.fail(new ChildFailed(`it was not ready within ${readyMs / 1000} s`));
      this.kill();
    }, readyMs);
    this.exited = this.#port.exited.then((how) => {
      clearTimeout(this.#late);
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

  get heardAt(): number {
    return this.#heardAt;
  }

  get shown(): LiveChild {
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
    this.#heardAt = performance.now();
  }

  markReady(): void {
    this.markAlive();
    clearTimeout(this.#late);
    this.#isReady = true;
    this.#settle?.resolve();
  }

  /** Without effect once it was ready, or has failed before. */
  fail(failure: ChildFailed): void {
    if (this.#isReady) return;
    this.#failure ??= failure;
    this.#settle?.reject(this.#failure);
  }

  async end(command: ShutdownCommand): Promise<void> {
    const { graceMs } = command;
    this.send({ ...command, graceMs: graceMs - Math.min(LAST_WORDS_MS, graceMs / 4) });
    const timer = setTimeout(() => this.kill(), graceMs);
    await this.exited;
    clearTimeout(timer);
  }
}
