import type { Server } from 'node:net';

/** A connection that was accepted, and that is no socket of Node yet. It is not read. */
export interface AcceptedHandle {
  /** Absent for a Unix socket. Gives no address if the other end has left. */
  getpeername?(out: { address?: string }): number;
  close(): void;
}

type OnConnection = (this: ListeningHandle, error: number, accepted?: AcceptedHandle) => void;
interface ListeningHandle {
  onconnection?: OnConnection;
}
type Listening = Server & { readonly _handle?: ListeningHandle | null };

/**
 * Gives each connection that the server accepts to `onAccepted`, before Node makes a socket of it: that takes four
 * times as long as to accept it, and three times as long as to close it again.
 *
 * `onconnection` is not documented (decision 0033). Without it, Node serves each connection as it comes.
 *
 * @returns serves an accepted connection, as Node would have done at once. Closes it if the server no longer listens.
 */
export function takeAccepted(
  server: Server,
  onAccepted: (accepted: AcceptedHandle) => void,
): (accepted: AcceptedHandle) => void {
  let serve: (accepted: AcceptedHandle) => void = () => undefined;
  server.on('listening', () => {
    const { _handle: handle } = server as Listening;
    const onConnection = handle?.onconnection;
    if (handle == null || onConnection === undefined) return;
    serve = (accepted) => onConnection.call(handle, 0, accepted);
    handle.onconnection = (error, accepted) => {
      if (accepted === undefined) onConnection.call(handle, error);
      else onAccepted(accepted);
    };
  });
  return (accepted) => {
    if (server.listening) serve(accepted);
    else accepted.close();
  };
}
