import type { Config } from '../config/schema.ts';
import type { LifecycleState } from '../core/lifecycle.ts';

/**
 * What supervisor and children say to each other over the channel that node's
 * `fork` opens, as structured clones. Messages from one sender to one receiver
 * arrive in the order in which they were sent.
 */

/**
 * Counts the changes of these messages, and of those in `process/ipc/messages.ts` and
 * `process/ipc/calls.ts`, between versions that may run beside each other: while the
 * processes of a gateway are replaced by a new version, the supervisor and, at
 * first, the controller are of the old one. A child of another number gives up.
 */
export const PROTOCOL = 1;

/** `worker-7`: numbers are given once in the life of a supervisor, never again. */
export type WorkerId = `worker-${number}`;
export type ChildId = 'controller' | WorkerId;
export type ChildRole = 'controller' | 'worker';

/** To whom a child speaks; `workers` is every live one, the sender excepted. */
export type Destination = ChildId | 'workers';

/** A child that the supervisor has started and that has not ended, be it still starting or already draining. */
export interface LiveChild {
  readonly id: ChildId;
  readonly pid: number;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
  /** It had said so when this was told. Undefined from a supervisor of a version that does not tell. */
  readonly isReady?: boolean;
}

/** The listening sockets of a gateway, by the names that systemd units use for them. */
export const SOCKET_NAMES = ['data', 'admin', 'sapcontrol'] as const;
export type SocketName = (typeof SOCKET_NAMES)[number];

/** An inherited listening socket: `server.listen({ fd, backlog })`. */
export interface InheritedSocket {
  readonly fd: number;
  /** Where it is bound, such as `127.0.0.1:8080`. */
  readonly address: string;
}

/** The state of the whole gateway, which the supervisor decides and the children show. */
export interface HostLifecycle {
  readonly state: LifecycleState;
  /** Requests are to be answered by the gateway itself: also while it stops, where it was in maintenance before. */
  readonly inMaintenance: boolean;
  /** Why it is in it, for logs and for whoever asks. */
  readonly why: string;
}

/** The first message that a child gets. */
export interface Init {
  readonly kind: 'init';
  /** The {@link PROTOCOL} of the supervisor. */
  readonly protocol: number;
  readonly role: ChildRole;
  readonly id: ChildId;
  /** Resolved, as it was accepted. */
  readonly config: Config;
  /** The same as it is shown: with units, secrets masked. Made by the supervisor, so that the children need not load what makes it. */
  readonly shownConfig: Readonly<Record<string, unknown>>;
  /** The name of this gateway towards others, the same for all its children and their successors. */
  readonly replica: string;
  /** Random, made by the supervisor: what the children hash with it looks the same in all their logs. Never shown. */
  readonly secret: string;
  readonly lifecycle: HostLifecycle;
  /** The least severe level that is logged, where signals have moved it away from that of the configuration. */
  readonly logLevel: string;
  readonly host: {
    /** Of the supervisor: the one that takes signals. */
    readonly pid: number;
    readonly startedAt: number;
  };
  /** Those who live now, the receiver excepted. The controller hears of every later change. */
  readonly workers: readonly LiveChild[];
  /** False while there is none, or none that is ready. `controller-ready` follows. */
  readonly controllerReady: boolean;
  /** What the role listens on: a worker on `data`, the controller on the others. */
  readonly sockets: Readonly<Partial<Record<SocketName, InheritedSocket>>>;
  /** Listening sockets that it inherited for another role, and has to close, lest others wait where nobody accepts. */
  readonly surplusFds: readonly number[];
}

/** What the supervisor tells of others. */
export type HostEvent =
  /** To the controller, before the worker has got its `init`. */
  | { readonly kind: 'worker-started'; readonly worker: LiveChild }
  /** To the controller, once the process has ended: it will send no request to an instance any more. */
  | { readonly kind: 'worker-gone'; readonly worker: LiveChild }
  /** To workers: a controller, the first or a new one, has said that it is ready. */
  | { readonly kind: 'controller-ready' }
  /** To workers: there is none until `controller-ready`. */
  | { readonly kind: 'controller-gone' }
  /** To all, on every change. */
  | { readonly kind: 'lifecycle'; readonly lifecycle: HostLifecycle }
  /** To all. */
  | { readonly kind: 'log-level'; readonly level: string };

/** How a child is asked to end. What still keeps it after `graceMs` it cuts off; soon after that it is killed. */
export type ShutdownCommand =
  /** To a worker: accept no more, answer what is under way without cutting fresh connections, end. */
  | { readonly kind: 'drain'; readonly graceMs: number }
  /** To the controller: end without leaving the ledger, because a successor goes on as the same replica. */
  | { readonly kind: 'handover'; readonly graceMs: number }
  /** To the controller, when the gateway ends: leave the ledger, then end. */
  | { readonly kind: 'leave'; readonly graceMs: number };

export type ToChild =
  | Init
  | HostEvent
  | ShutdownCommand
  | { readonly kind: 'relayed'; readonly from: ChildId; readonly body: unknown }
  | { readonly kind: 'answer'; readonly request: number; readonly answer: HostAnswer };

/** What a child may ask of the supervisor, on behalf of whoever operates the gateway. */
export type HostRequest =
  /** Ends the gateway: softly for up to `softTimeoutMs`, at once with 0. Answered as soon as it has begun. */
  | { readonly kind: 'stop'; readonly softTimeoutMs?: number; readonly why: string }
  /**
   * Replaces all children, one by one. Answered when the workers are replaced and before the controller, who asked,
   * is; refused when a new worker cannot start, and then the old ones stay.
   */
  | { readonly kind: 'restart'; readonly why: string }
  /** Reads the configuration anew. Answered like `restart`; refused with every problem, and then nothing changes. */
  | { readonly kind: 'reload'; readonly why: string }
  /** Answered when the supervisor is in that state. */
  | { readonly kind: 'maintenance'; readonly on: boolean; readonly why: string };

export type HostAnswer =
  | { readonly ok: true; readonly lifecycle: HostLifecycle }
  /** Says why not, and the remedy. */
  | { readonly ok: false; readonly message: string };

/** As of node's errors, where there is such. */
export interface FailureDetails {
  readonly code?: string;
  /** What it could not listen on. */
  readonly address?: string;
  readonly port?: number;
}

export type FromChild =
  /** From a spare process: the code of every role is loaded. */
  | { readonly kind: 'loaded' }
  /** It carries traffic, or is operable. */
  | { readonly kind: 'ready' }
  /** From whoever is ready, a few times a second: its event loop gets to its timers. */
  | { readonly kind: 'alive' }
  /** From the controller: every pool's instances have been probed. */
  | { readonly kind: 'settled' }
  /** It cannot start; it ends next. */
  | ({ readonly kind: 'failed'; readonly message: string } & FailureDetails)
  /** Dropped where the receiver does not live: who needs an answer has a limit for it, and asks again. */
  | { readonly kind: 'relay'; readonly to: Destination; readonly body: unknown }
  | { readonly kind: 'request'; readonly request: number; readonly what: HostRequest };

/**
 * A child's end of the channel. A handler, of which there is one of each kind, is
 * called in the order of arrival, and what arrives before there is one waits for it.
 */
export interface HostChannel {
  /** Resolves with the answer. Rejects where the channel has ended. */
  ask(what: HostRequest): Promise<HostAnswer>;
  /** Never throws and never waits; see `relay` in {@link FromChild}. */
  send(to: Destination, body: unknown): void;
  onMessage(handler: (body: unknown, from: ChildId) => void): void;
  onEvent(handler: (event: HostEvent) => void): void;
  /** From the controller, once. */
  settled(): void;
}

/**
 * What the builders of controller and worker return: `startController` and
 * `startWorker`, each `(init: Init, channel: HostChannel, logger: Logger) => Promise<RunningChild>`.
 */
export interface RunningChild {
  /** Does what the farewell says. Resolves when the process may end, at the latest soon after its `graceMs`. */
  end(command: ShutdownCommand): Promise<void>;
}
