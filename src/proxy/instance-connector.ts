import type { LookupFunction } from 'node:net';
import { isIP, Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';
import { errors } from 'undici';

/**
 * Creates the connector of one client. `isAnswerAwaited` says, when a connection ends, if an answer on it is still
 * awaited; `adapt` gets each connection that was opened.
 */
export type InstanceConnector = (
  isAnswerAwaited: () => boolean,
  adapt: (socket: Socket) => void,
  addresses?: CurrentAddresses,
) => buildConnector.connector;

/** The current addresses of the instance; undefined or empty means that the system's resolver is used. */
export type CurrentAddresses = () => readonly string[] | undefined;

// The values of undici's own connector.
const READ_AHEAD_BYTES = 64 * 1_024;
const KEEP_ALIVE_MS = 60_000;

/**
 * Opens connections to one instance. TLS certificates are checked against the instance's own name. undici's connector
 * would check against the Host header of the client's request instead.
 *
 * @param onError is called with each error of a connection that could not be opened
 */
export function instanceConnector(
  origin: URL,
  tls: ConnectionOptions,
  timeoutMs: number,
  onError: (error: Error) => void = () => undefined,
): InstanceConnector {
  const isSecure = origin.protocol === 'https:';
  const { servername = tlsName(origin) } = tls;
  let session: Buffer | undefined;
  return (isAnswerAwaited, adapt, addresses) =>
    ({ hostname, port: given }, callback) => {
      const port = given === '' ? (isSecure ? 443 : 80) : Number(given);
      const raw = new InstanceSocket(isAnswerAwaited);
      let socket: Socket = raw;
      let isSettled = false;
      const settle = (error: Error | undefined): void => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(timer);
        if (error === undefined) {
          adapt(socket);
          callback(null, socket);
        } else {
          onError(error);
          callback(error, null);
        }
      };
      const giveUp = (): void => {
        const message = `no connection to ${hostname}:${port} within ${timeoutMs} ms`;
        if (!isSettled) socket.destroy(new errors.ConnectTimeoutError(message));
      };
      // One limit for TCP and TLS together. `setImmediate` lets data that has arrived be read first.
      const timer = setTimeout(setImmediate, timeoutMs, giveUp);
      raw
        .setNoDelay(true)
        .setKeepAlive(true, KEEP_ALIVE_MS)
        .on('error', settle)
        .once('close', () =>
          settle(new errors.SocketError('the instance closed the connection during its set-up')),
        )
        .once('connect', () => {
          if (!isSecure) return settle(undefined);
          socket = connectTls({
            ...tls,
            socket: raw,
            host: hostname,
            servername,
            ...(session === undefined ? {} : { session }),
            ALPNProtocols: ['http/1.1'],
          })
            .on('error', settle)
            .on('session', (latest) => {
              session = latest;
            })
            .once('secureConnect', () => settle(undefined));
        })
        .connect({ host: hostname, port, ...lookupOf(addresses?.()) });
    };
}

/** A lookup function that returns these addresses for every name. */
function lookupOf(addresses: readonly string[] | undefined): { lookup?: LookupFunction } {
  const found = addresses?.map((address) => ({ address, family: isIP(address) })) ?? [];
  const [first] = found;
  if (first === undefined) return {};
  return {
    lookup: (_name, { all }, callback) =>
      all === true ? callback(null, found) : callback(null, first.address, first.family),
  };
}

/**
 * A socket that is reset instead of closed while an answer on it is awaited. After an orderly close, the kernel goes on
 * sending for minutes. A request could then reach an instance long after its agent was moved elsewhere.
 *
 * TLS runs on top of such a socket, because a TLS socket cannot be reset; destroying it destroys the socket below.
 */
class InstanceSocket extends Socket {
  readonly #isAnswerAwaited: () => boolean;

  constructor(isAnswerAwaited: () => boolean) {
    super({ readableHighWaterMark: READ_AHEAD_BYTES } as ConstructorParameters<typeof Socket>[0]);
    this.#isAnswerAwaited = isAnswerAwaited;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // The socket is already being destroyed, so this only makes its end a reset.
    if (this.#isAnswerAwaited() && !this.connecting) this.resetAndDestroy();
    super._destroy(error, callback);
  }
}

/**
 * `''` for an address: then there is no SNI, and the certificate must contain the address. A name has no dot at its end
 * (RFC 6066 §3).
 */
function tlsName(origin: URL): string {
  const host = origin.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  return isIP(host) === 0 ? host : '';
}
