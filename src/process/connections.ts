import { executionAsyncResource } from 'node:async_hooks';
import type { Server, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';

/** Receives an uncaught error that belongs to one connection. The connection is closed afterwards. */
export type OnConnectionFault = (error: Error, socket: Socket) => void;

/** Fields that Node keeps in a socket accepted by a server. */
type Guarded = Socket & { readonly _handle?: Handle | null; readonly server?: object };

const onFaultOf = new WeakMap<object, OnConnectionFault>();
/**
 * The connection, in its handle, because Node names the handle as the origin of an event. A `WeakMap` would keep every
 * connection until the old generation is collected.
 */
const CONNECTION = Symbol('connection');
type Handle = { [CONNECTION]?: Guarded };

/**
 * Keeps an error of a single connection from ending the process.
 *
 * A socket error without a listener ends the process, and Node removes its own listener when it hands a socket over
 * (CONNECT, upgrade). So each accepted socket gets an error listener at once, which stays.
 *
 * An uncaught error normally ends the process too. If it was thrown in an event of a guarded connection, only that
 * connection ends.
 *
 * Call this before the server listens, and after all other code has registered its connection listeners.
 */
export function guardConnections(server: Server, onFault: OnConnectionFault): void {
  onFaultOf.set(server, onFault);
  server.prependListener('connection', guard);
  // A TLS connection is a second socket that reads from the first.
  if (server instanceof TlsServer) server.prependListener('secureConnection', guard);
  if (process.listeners('uncaughtExceptionMonitor').includes(catchFault)) return;
  // Must run before the log's monitor, which reports that the process ends unless something handles the error.
  process.prependListener('uncaughtExceptionMonitor', catchFault);
}

function guard(socket: Guarded): void {
  socket.on('error', ignore);
  if (socket._handle) socket._handle[CONNECTION] = socket;
}

// Nothing to do: Node closes the connection by itself.
function ignore(): void {}

/** Node continues after an uncaught error if an `uncaughtException` listener exists when this function has returned. */
function catchFault(error: Error): void {
  const socket = connectionOf(executionAsyncResource());
  const onFault = socket?.server && onFaultOf.get(socket.server);
  if (socket === undefined || onFault === undefined) return;
  process.once('uncaughtException', () => {
    onFault(error, socket);
    socket.destroy();
  });
}

/** The resource that Node currently runs: a handle, a request to one, a connection's parser, a tick, or a timer. */
interface Work extends Handle {
  readonly handle?: Handle;
  /** Arguments of a tick. */
  readonly args?: readonly unknown[];
  readonly _timerArgs?: readonly unknown[];
}

/**
 * The connection that the running event belongs to; `undefined` if that is unknown, as it is after an `await`. Runs
 * only when the process would otherwise end, so it costs nothing in normal operation.
 */
function connectionOf(work: Work): Guarded | undefined {
  const own = work[CONNECTION] ?? work.handle?.[CONNECTION] ?? socketIn(work);
  if (own !== undefined) return own;
  for (const arg of work.args ?? work._timerArgs ?? []) {
    const socket = socketIn(arg);
    if (socket !== undefined) return socket;
  }
  return undefined;
}

/** The connection itself, or the connection of a request, a response, an exchange, a parser or a write. */
function socketIn(thing: unknown): Guarded | undefined {
  if (typeof thing !== 'object' || thing === null) return undefined;
  const { socket, stream, req, raw } = thing as Record<
    string,
    { readonly socket?: unknown } | null | undefined
  >;
  for (const candidate of [thing, socket, stream, req?.socket, raw?.socket]) {
    const { server } = (candidate ?? {}) as Guarded;
    if (server !== undefined && onFaultOf.has(server)) return candidate as Guarded;
  }
  return undefined;
}
