import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import type { SocketsByName } from './host-sockets.ts';
import type { ChildRole, FromChild, InheritedSocket, SocketName, ToChild } from './messages.ts';

/** A started process, as the supervisor sees it. */
export interface ChildPort {
  /** 0 if the process could not be started. */
  readonly pid: number;
  /** Never throws. A message is lost only if the receiving process ends. */
  send(message: ToChild): void;
  /** SIGKILL. */
  kill(): void;
  /** Resolves with how it ended (exit code or signal), after all its messages have been handled. */
  readonly exited: Promise<string>;
}

export interface ChildStart {
  /** The role whose code it loads; a standby process (`spare`) loads the code of all roles. */
  readonly role: ChildRole | 'spare';
  /** Descriptors of this process that the child inherits. */
  readonly fds: Readonly<Partial<Record<SocketName, number>>>;
  readonly onMessage: (message: FromChild) => void;
}

/** Starts a process; see {@link forking}. Never throws: a process that cannot be started appears as one that has ended. */
export type StartChild = (start: ChildStart) => ChildPort;

// 0 to 2 are standard input and output, 3 is the channel.
const FIRST_SOCKET_FD = 4;
// V8's threads that collect garbage want the cores of the workers, and the worker waits for them.
const GARBAGE_COLLECTION = '--single-threaded-gc';
// A child with this many unread messages has stopped reading. Killing it keeps the queue from filling our memory.
const MAX_UNREAD = 10_000;

/** The descriptor numbers under which a child finds the sockets that {@link forking} passes to it. */
export function inheritedAs(sockets: SocketsByName): Partial<Record<SocketName, InheritedSocket>> {
  return Object.fromEntries(
    Object.entries(sockets).map(([name, { address }], i) => [name, { fd: FIRST_SOCKET_FD + i, address }]),
  );
}

/** The descriptor numbers of the sockets in this process. */
export function fdsOf(sockets: SocketsByName): Partial<Record<SocketName, number>> {
  return Object.fromEntries(Object.entries(sockets).map(([name, { fd }]) => [name, fd]));
}

/**
 * Forks `module --child=ROLE`. Symbolic links in the module path stay unresolved:
 * after a link is switched to a new release, new children run the new code.
 */
export function forking(module: string): StartChild {
  return ({ role, fds, onMessage }) => {
    // Sockets are inherited once. A grandchild that saw these variables would mistake unrelated descriptors for sockets.
    const { LISTEN_PID: _pid, LISTEN_FDS: _fds, LISTEN_FDNAMES: _names, ...env } = process.env;
    let child: ChildProcess;
    try {
      child = fork(module, [`--child=${role}`], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...Object.values(fds)],
        // Preserves what JSON loses: Infinity, undefined, bytes.
        serialization: 'advanced',
        execArgv: [...process.execArgv.filter((flag) => flag !== GARBAGE_COLLECTION), GARBAGE_COLLECTION],
        env,
      });
    } catch (error) {
      // Node emits the most frequent reasons why a process cannot start as an event, and throws all others.
      return failedPort(error as Error);
    }
    child.on('message', onMessage as (message: unknown) => void);
    const kill = (): void => {
      // Without a process, Node may signal pid 0, which is this process and its whole group.
      if (child.pid !== undefined) child.kill('SIGKILL');
    };
    let unread = 0;
    return {
      pid: child.pid ?? 0,
      send: (message) => {
        if (!child.connected) return;
        unread += 1;
        if (unread > MAX_UNREAD) kill();
        child.send(message, () => {
          unread -= 1;
        });
      },
      kill,
      exited: new Promise((resolve) => {
        child.once('exit', (code, signal) => {
          const how = signal ?? `exit code ${code}`;
          // Node may report the exit before it has read the last messages.
          if (child.connected) child.once('disconnect', () => resolve(how));
          else resolve(how);
        });
        // A process that never started emits no exit event.
        child.on('error', (error) => {
          if (child.pid === undefined) resolve(startFailure(error));
        });
      }),
    };
  };
}

/** The port of a child for which the system could not create a process. */
function failedPort(error: Error): ChildPort {
  return {
    pid: 0,
    send: () => undefined,
    kill: () => undefined,
    exited: Promise.resolve(startFailure(error)),
  };
}

function startFailure(error: Error): string {
  return `no process could be started for it: ${error.message}`;
}
