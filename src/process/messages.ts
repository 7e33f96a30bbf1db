import type { ReloadPreview } from '../config/preview.ts';
import type { Config } from '../config/schema.ts';
import type { LifecycleState } from '../core/lifecycle.ts';
import type { ShownOption } from '../core/shown-option.ts';

/**
 * The messages between supervisor and children, over the channel that Node's `fork`
 * opens, as structured clones. Messages from one sender to one receiver arrive in the
 * order in which they were sent.
 */

/**
 * The protocol version. It increases with every incompatible change of these messages,
 * of `process/ipc/messages.ts` or of `process/ipc/calls.ts`. During a rolling replacement
 * two releases run beside each other: the supervisor and, at first, the controller are
 * still of the old one. A child with another protocol version refuses to start.
 */
export const PROTOCOL = 1;

/** @param protocol of the supervisor that sent a first message */
export function checkProtocol(protocol: number): void {
  if (protocol === PROTOCOL) return;
  throw new Error(
    `the installed version cannot run beside the one that is running (their processes speak protocol ${PROTOCOL} and ${protocol}): stop the gateway and start it again instead of replacing its processes`,
  );
}

/** Such as `worker-7`. A supervisor never reuses a number. */
export type WorkerId = `worker-${number}`;
export type ChildId = 'controller' | WorkerId;
export type ChildRole = 'controller' | 'worker';

/** The receiver of a child's message; `workers` means every live worker except the sender. */
export type Destination = ChildId | 'workers';

/** A child that the supervisor has started and that has not ended; it may still be starting or already be draining. */
export interface LiveChild {
  readonly id: ChildId;
  readonly pid: number;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
  /** Whether it was ready when this message was sent. Undefined from a supervisor of a release without this field. */
  readonly isReady?: boolean;
}

/** The listening sockets of a gateway, by the names that systemd units use for them. */
export const SOCKET_NAMES = ['data', 'admin', 'sapcontrol', 'peers'] as const;
export type SocketName = (typeof SOCKET_NAMES)[number];
/** Those on which workers listen. The controller has the others. */
export const WORKER_SOCKETS: ReadonlySet<string> = new Set<SocketName>(['data', 'peers']);

/** An inherited listening socket: `server.listen({ fd, backlog })`. */
export interface InheritedSocket {
  readonly fd: number;
  /** The bound address, such as `127.0.0.1:8080`. */
  readonly address: string;
}

/** The state of the whole gateway. The supervisor decides it; the children report it. */
export interface HostLifecycle {
  readonly state: LifecycleState;
  /** The gateway itself answers all requests. Stays true during a stop that begins in maintenance. */
  readonly inMaintenance: boolean;
  /** The reason for this state, for logs and status reports. */
  readonly why: string;
}

/** The first message to a child. */
export interface Init {
  readonly kind: 'init';
  /** The {@link PROTOCOL} of the supervisor. */
  readonly protocol: number;
  readonly role: ChildRole;
  readonly id: ChildId;
  /** The accepted configuration, fully resolved. */
  readonly config: Config;
  /**
   * The same for display: with units, and with secrets masked. The supervisor builds it, so that children need not load
   * that code.
   */
  readonly shownConfig: Readonly<Record<string, unknown>>;
  /** Every option with its default and its source; for the controller alone. Missing from an earlier release. */
  readonly shownOptions?: readonly ShownOption[];
  /** The name of this gateway among its peers; the same for all its children and their successors. */
  readonly replica: string;
  /**
   * A random key from the supervisor. All children hash with it, so that hashes match across their logs. Never shown.
   */
  readonly secret: string;
  readonly lifecycle: HostLifecycle;
  /** The current log level; signals may have moved it away from the configured one. */
  readonly logLevel: string;
  readonly host: {
    /** The pid of the supervisor, which receives the signals. */
    readonly pid: number;
    readonly startedAt: number;
  };
  /** All other live workers. The controller gets an event for every later change. */
  readonly workers: readonly LiveChild[];
  /** False while no controller is ready. `controller-ready` follows. */
  readonly controllerReady: boolean;
  /** The sockets of the role: `data` for a worker, the others for the controller. */
  readonly sockets: Readonly<Partial<Record<SocketName, InheritedSocket>>>;
  /**
   * Inherited listening sockets of another role. The child closes them, so that no connection waits where nothing
   * accepts.
   */
  readonly surplusFds: readonly number[];
}

/** Is the whole gateway this one process (`workers: 0`)? */
export function isOneProcess({ host }: Pick<Init, 'host'>): boolean {
  return host.pid === process.pid;
}

/** Events that the supervisor sends about other processes and about the gateway. */
export type HostEvent =
  /** To the controller, before the worker receives its `init`. */
  | { readonly kind: 'worker-started'; readonly worker: LiveChild }
  /** To the controller, once the process has ended and can send no more requests to an instance. */
  | { readonly kind: 'worker-gone'; readonly worker: LiveChild }
  /** To workers: the first or a new controller is ready. */
  | { readonly kind: 'controller-ready' }
  /** To workers: no controller is ready until `controller-ready`. */
  | { readonly kind: 'controller-gone' }
  /** To all, on every change. */
  | { readonly kind: 'lifecycle'; readonly lifecycle: HostLifecycle }
  /** To all: every process has the new configuration. Earlier releases ignore it. */
  | { readonly kind: 'reloaded'; readonly why: string; readonly changes: readonly string[] }
  /** To all. */
  | { readonly kind: 'log-level'; readonly level: string };

/** Tells a child to end. It cuts off remaining work after `graceMs`; the supervisor kills it soon after that. */
export type ShutdownCommand =
  /** To a worker: stop accepting, answer pending requests without cutting fresh connections, then end. */
  | { readonly kind: 'drain'; readonly graceMs: number }
  /** To the controller: end without leaving the view store, because a successor continues as the same replica. */
  | { readonly kind: 'handover'; readonly graceMs: number }
  /** To the controller, when the gateway ends: leave the view store, then end. */
  | { readonly kind: 'leave'; readonly graceMs: number };

export type ToChild =
  | Init
  | HostEvent
  | ShutdownCommand
  | { readonly kind: 'relayed'; readonly from: ChildId; readonly body: unknown }
  | { readonly kind: 'answer'; readonly request: number; readonly answer: HostAnswer };

/** Requests of a child to the supervisor, on behalf of an operator. */
export type HostRequest =
  /** Stops the gateway: softly for up to `softTimeoutMs`, at once with 0. Answered as soon as the stop has begun. */
  | { readonly kind: 'stop'; readonly softTimeoutMs?: number; readonly why: string }
  /**
   * Replaces all children, one by one. Answered when the workers are replaced, before the controller (which asked) is.
   * Refused if a new worker cannot start; the old ones then stay.
   */
  | { readonly kind: 'restart'; readonly why: string }
  /**
   * Reloads the configuration. Answered like `restart`. Refused with a list of all problems if it is invalid; then
   * nothing changes.
   */
  | { readonly kind: 'reload'; readonly why: string }
  /** Reads the configuration and answers what a reload would do. Changes nothing. */
  | { readonly kind: 'preview-reload' }
  /** Answered when the supervisor has changed the state. */
  | { readonly kind: 'maintenance'; readonly on: boolean; readonly why: string };

export type HostAnswer =
  | {
      readonly ok: true;
      readonly lifecycle: HostLifecycle;
      /** Answers `preview-reload`. Missing from a supervisor of an earlier release. */
      readonly preview?: ReloadPreview;
    }
  /** Gives the reason and the remedy. */
  | { readonly ok: false; readonly message: string };

/** The fields of Node's system errors, if there are any. */
export interface FailureDetails {
  readonly code?: string;
  /** The address that it could not listen on. */
  readonly address?: string;
  readonly port?: number;
  /** The file that it could not use. */
  readonly path?: string;
}

export type FromChild =
  /** From a standby process: the code of every role is loaded. */
  | { readonly kind: 'loaded' }
  /** A worker carries traffic, or the controller answers operators. */
  | { readonly kind: 'ready' }
  /** The heartbeat of a ready child, a few times a second: its event loop runs timers. */
  | { readonly kind: 'alive' }
  /** From the controller: every pool's instances have been probed. */
  | { readonly kind: 'settled' }
  /** The child cannot start; it ends next. */
  | ({ readonly kind: 'failed'; readonly message: string } & FailureDetails)
  /** Dropped if the receiver is not alive: a sender that needs an answer sets a time limit and asks again. */
  | { readonly kind: 'relay'; readonly to: Destination; readonly body: unknown }
  | { readonly kind: 'request'; readonly request: number; readonly what: HostRequest };

/**
 * A child's end of the channel. There is one handler of each kind. Messages reach it
 * in the order of arrival; messages that arrive before the handler is set wait for it.
 */
export interface HostChannel {
  /** Resolves with the answer. Rejects if the channel has ended. */
  ask(what: HostRequest): Promise<HostAnswer>;
  /** Never throws and never waits; see `relay` in {@link FromChild}. */
  send(to: Destination, body: unknown): void;
  onMessage(handler: (body: unknown, from: ChildId) => void): void;
  onEvent(handler: (event: HostEvent) => void): void;
  /** Called by the controller, once. */
  settled(): void;
}

/**
 * The result of the builders of controller and worker, `startController` and
 * `startWorker`, each `(init: Init, channel: HostChannel, logger: Logger) => Promise<RunningChild>`.
 */
export interface RunningChild {
  /** Carries out the shutdown command. Resolves when the process may end, at the latest soon after `graceMs`. */
  end(command: ShutdownCommand): Promise<void>;
}
