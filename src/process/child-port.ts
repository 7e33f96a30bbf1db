import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import type { SocketsByName } from './host-sockets.ts';
import type { ChildRole, FromChild, InheritedSocket, SocketName, ToChild } from './messages.ts';

/** A started process, as the supervisor needs it. */
export interface ChildPort {
  /** 0 where it could not even be started. */
  readonly pid: number;
  /** Never throws; what does not arrive is lost with its receiver. */
  send(message: ToChild): void;
  /** SIGKILL. */
  kill(): void;
  /** Resolves with how it ended, in words, after all of its messages have been handled. */
  readonly exited: Promise<string>;
}

export interface ChildStart {
  /** What it loads the code of; a spare one, of all roles. */
  readonly role: ChildRole | 'spare';
  /** Descriptors of this process that the child is to inherit. */
  readonly fds: Readonly<Partial<Record<SocketName, number>>>;
  readonly onMessage: (message: FromChild) => void;
}

/** Starts a process; see {@link forking}. Never throws: one that cannot be started is a child that has ended. */
export type StartChild = (start: ChildStart) => ChildPort;

// 0 to 2 are standard input and output, 3 is the channel.
const FIRST_SOCKET_FD = 4;
// A child that has this many messages waiting has stopped reading, and what it does not read must not fill our memory.
const MAX_UNREAD = 10_000;

/** The numbers under which a child finds the sockets that {@link forking} gave it. */
export function inheritedAs(sockets: SocketsByName): Partial<Record<SocketName, InheritedSocket>> {
  return Object.fromEntries(
    Object.entries(sockets).map(([name, { address }], i) => [name, { fd: FIRST_SOCKET_FD + i, address }]),
  );
}

/** Their numbers in this process. */
export function fdsOf(sockets: SocketsByName): Partial<Record<SocketName, number>> {
  return Object.fromEntries(Object.entries(sockets).map(([name, { fd }]) => [name, fd]));
}

/**
 * Forks `module --child=ROLE`. The module is named as it was given to this
 * process, with symbolic links unresolved, so that children started after such a
 * link was turned run the code that it leads to then.
 */
export function forking(module: string): StartChild {
  return ({ role, fds, onMessage }) => {
    // A socket is inherited once; a grandchild that believed in these would take descriptors for its own.
    const { LISTEN_PID: _pid, LISTEN_FDS: _fds, LISTEN_FDNAMES: _names, ...env } = process.env;
    let child: ChildProcess;
    try {
      child = fork(module, [`--child=${role}`], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...Object.values(fds)],
        // Keeps what JSON loses: Infinity, undefined, bytes.
        serialization: 'advanced',
        env,
      });
    } catch (error) {
      // Of what a system refuses a process for, Node emits the most frequent reasons, and throws all others.
      return stillborn(error as Error);
    }
    child.on('message', onMessage as (message: unknown) => void);
    const kill = (): void => {
      // Where there is no process, Node may send it to number 0, which is this one and its whole group.
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
          // The end may be noticed before the last words are read.
          if (child.connected) child.once('disconnect', () => resolve(how));
          else resolve(how);
        });
        // Without a process there will be no exit.
        child.on('error', (error) => {
          if (child.pid === undefined) resolve(unmade(error));
        });
      }),
    };
  };
}

/** What there is of a child that the system made no process for. */
function stillborn(error: Error): ChildPort {
  return { pid: 0, send: () => undefined, kill: () => undefined, exited: Promise.resolve(unmade(error)) };
}

function unmade(error: Error): string {
  return `no process could be started for it: ${error.message}`;
}
