import type { ChildPort, StartChild } from '../../src/process/child-port.ts';
import type {
  ChildId,
  ChildRole,
  FromChild,
  Init,
  ShutdownCommand,
  ToChild,
} from '../../src/process/messages.ts';

/** A fake process whose behaviour the test defines. */
export class FakeChild {
  readonly startedAs: ChildRole | 'spare';
  readonly pid: number;
  readonly fds: Readonly<Record<string, number>>;
  readonly got: ToChild[] = [];
  isAlive = true;
  wasKilled = false;
  readonly say: (message: FromChild) => void;
  readonly exited: Promise<string>;
  #exit: (how: string) => void = () => undefined;

  constructor(pid: number, { role, fds, onMessage }: Parameters<StartChild>[0]) {
    this.pid = pid;
    this.startedAs = role;
    this.fds = fds as Record<string, number>;
    this.say = onMessage;
    this.exited = new Promise((resolve) => {
      this.#exit = resolve;
    });
  }

  get init(): Init {
    return this.got.find((message): message is Init => message.kind === 'init') as Init;
  }

  /** A standby process has none before its `init`. */
  get role(): ChildRole | undefined {
    return this.init?.role;
  }

  get id(): ChildId {
    return this.init.id;
  }

  get shutdownCommand(): ShutdownCommand | undefined {
    return this.got.find(
      (message): message is ShutdownCommand =>
        message.kind === 'drain' || message.kind === 'handover' || message.kind === 'leave',
    );
  }

  end(how: string): void {
    this.isAlive = false;
    this.#exit(how);
  }
}

export interface FakeHabits {
  /** The behaviour of a standby process after its start. Default: it has loaded. */
  readonly standby?: (child: FakeChild) => void;
  /** The behaviour after the `init`. Default: it is ready. */
  readonly born?: (child: FakeChild) => void;
  /** The behaviour on a shutdown command. Default: it ends. */
  readonly asked?: (child: FakeChild, command: ShutdownCommand) => void;
  /** The behaviour on a kill. Default: it ends at once. */
  readonly killed?: (child: FakeChild) => void;
}

/** Starts {@link FakeChild}ren, and keeps them in the order of their starts. */
export class FakeChildren {
  readonly #started: FakeChild[] = [];
  /** The events with subject and receiver, such as `worker-started worker-1 to controller`. */
  readonly story: string[] = [];
  habits: FakeHabits = {};

  readonly start: StartChild = (start) => {
    const child = new FakeChild(1_000 + this.#started.length, start);
    this.#started.push(child);
    const { standby = (one) => one.say({ kind: 'loaded' }) } = this.habits;
    if (start.role === 'spare') queueMicrotask(() => standby(child));
    const port: ChildPort = {
      pid: child.pid,
      exited: child.exited,
      kill: () => {
        child.wasKilled = true;
        const { killed = (one) => one.end('SIGKILL') } = this.habits;
        killed(child);
      },
      send: (message) => {
        if (child.isAlive) this.#deliver(child, message);
      },
    };
    return port;
  };

  /** All children that ever got a role. */
  get all(): FakeChild[] {
    return this.#started.filter(({ role }) => role !== undefined);
  }

  get living(): FakeChild[] {
    return this.all.filter(({ isAlive }) => isAlive);
  }

  /** Children that wait for a role. */
  get standbys(): FakeChild[] {
    return this.#started.filter(({ isAlive, role }) => isAlive && role === undefined);
  }

  get workers(): FakeChild[] {
    return this.living.filter(({ role }) => role === 'worker');
  }

  get controller(): FakeChild {
    const found = this.living.find(({ role }) => role === 'controller');
    if (found === undefined) throw new Error('no controller lives');
    return found;
  }

  get ids(): ChildId[] {
    return this.living.map(({ id }) => id);
  }

  #deliver(child: FakeChild, message: ToChild): void {
    child.got.push(message);
    const { born = (one) => one.say({ kind: 'ready' }), asked = (one) => one.end('exit code 0') } =
      this.habits;
    switch (message.kind) {
      case 'init':
        this.story.push(`init to ${child.id}`);
        queueMicrotask(() => born(child));
        break;
      case 'worker-started':
      case 'worker-gone':
        this.story.push(`${message.kind} ${message.worker.id} to ${child.id}`);
        break;
      case 'drain':
      case 'handover':
      case 'leave':
        this.story.push(`${message.kind} to ${child.id}`);
        queueMicrotask(() => asked(child, message));
        break;
      default:
        this.story.push(`${message.kind} to ${child.id}`);
    }
  }
}
