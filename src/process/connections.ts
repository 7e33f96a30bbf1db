import { executionAsyncResource } from 'node:async_hooks';
import type { Server, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';

/** Told of an error that nothing caught and that belongs to one connection, which is closed afterwards. */
export type OnConnectionFault = (error: Error, socket: Socket) => void;

/** What Node keeps in a socket that a server has accepted. */
type Guarded = Socket & { readonly _handle?: object | null; readonly server?: object };

const onFaultOf = new WeakMap<object, OnConnectionFault>();
/** By the handle of the connection, which is what Node names as the origin of its events. */
const guarded = new WeakMap<object, Guarded>();

/**
 * Keeps what happens to a single connection of the server from ending the process.
 *
 * A socket whose error nothing listens for ends the process, and Node takes its own listener off where it hands a
 * socket over (CONNECT, upgrade). So each gets one as soon as it is accepted, which stays.
 *
 * An error that nothing catches ends the process too, except where it was thrown in an event of a guarded connection:
 * then only that connection ends.
 *
 * Call it before the server listens, and after everything else that follows its connections.
 */
export function guardConnections(server: Server, onFault: OnConnectionFault): void {
  onFaultOf.set(server, onFault);
  server.prependListener('connection', guard);
  // A connection over TLS is another socket, which reads from the first.
  if (server instanceof TlsServer) server.prependListener('secureConnection', guard);
  if (process.listeners('uncaughtExceptionMonitor').includes(catchFault)) return;
  // Before the log, which says that the process ends where nothing catches the error.
  process.prependListener('uncaughtExceptionMonitor', catchFault);
}

function guard(socket: Guarded): void {
  socket.on('error', ignore);
  if (socket._handle) guarded.set(socket._handle, socket);
}

// Node closes the connection by itself.
function ignore(): void {}

/** Node goes on after an uncaught error where something listens for it by the time that this has returned. */
function catchFault(error: Error): void {
  const socket = connectionOf(executionAsyncResource());
  const onFault = socket?.server && onFaultOf.get(socket.server);
  if (socket === undefined || onFault === undefined) return;
  process.once('uncaughtException', () => {
    onFault(error, socket);
    socket.destroy();
  });
}

/** What Node is working on: a handle, a request to one, the parser of a connection, a tick, or a timer. */
interface Work {
  readonly handle?: object;
  /** Of a tick. */
  readonly args?: readonly unknown[];
  readonly _timerArgs?: readonly unknown[];
}

/**
 * The connection that the running event belongs to. `undefined` where that cannot be told, which is so for what runs
 * after an `await`. Asked only where the process would end otherwise, so none of it costs anything before.
 */
function connectionOf(work: Work): Guarded | undefined {
  const own = guarded.get(work) ?? (work.handle && guarded.get(work.handle)) ?? socketIn(work);
  if (own !== undefined) return own;
  for (const arg of work.args ?? work._timerArgs ?? []) {
    const socket = socketIn(arg);
    if (socket !== undefined) return socket;
  }
  return undefined;
}

/** A connection itself, or that of a request, a response, an exchange, a parser or a write. */
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
