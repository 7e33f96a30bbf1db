import type { LookupFunction } from 'node:net';
import { isIP, Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';
import { Client, errors } from 'undici';

/**
 * Makes the connector of one client. `isOwed` is asked when a connection ends:
 * does the client still wait for an answer on it?
 */
export type InstanceConnector = (
  isOwed: () => boolean,
  addresses?: CurrentAddresses,
) => buildConnector.connector;

/** Where the instance is now; undefined or empty leaves it to the system's resolver. */
export type CurrentAddresses = () => readonly string[] | undefined;

// As undici has it.
const READ_AHEAD_BYTES = 64 * 1_024;
const KEEP_ALIVE_MS = 60_000;

/**
 * Opens connections to one instance. TLS is verified against the instance's own
 * name, whatever Host the client's request bears: left to itself, undici would
 * ask for and verify the client's.
 */
export function instanceConnector(origin: URL, tls: ConnectionOptions, timeoutMs: number): InstanceConnector {
  const isSecure = origin.protocol === 'https:';
  const { servername = tlsName(origin) } = tls;
  let session: Buffer | undefined;
  return (isOwed, addresses) =>
    ({ hostname, port: given }, callback) => {
      const port = given === '' ? (isSecure ? 443 : 80) : Number(given);
      const raw = new InstanceSocket(isOwed);
      let socket: Socket = raw;
      let isSettled = false;
      const settle = (error: Error | undefined): void => {
        if (isSettled) return;
        isSettled = true;
        clearTimeout(timer);
        if (error === undefined) callback(null, socket);
        else callback(error, null);
      };
      const giveUp = (): void => {
        const message = `no connection to ${hostname}:${port} within ${timeoutMs} ms`;
        if (!isSettled) socket.destroy(new errors.ConnectTimeoutError(message));
      };
      // One limit for TCP and TLS together. What has arrived by then is read first.
      const timer = setTimeout(setImmediate, timeoutMs, giveUp);
      raw
        .setNoDelay(true)
        .setKeepAlive(true, KEEP_ALIVE_MS)
        .on('error', settle)
        .once('close', () =>
          settle(new errors.SocketError('the connection was closed before it was complete')),
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

/** Resolves to these addresses, whatever the name is. */
function lookupOf(addresses: readonly string[] | undefined): { lookup?: LookupFunction } {
  const found = addresses?.map((address) => ({ address, family: isIP(address) })) ?? [];
  const [first] = found;
  if (first === undefined) return {};
  return {
    lookup: (_name, { all }, callback) =>
      all === true ? callback(null, found) : callback(null, first.address, first.family),
  };
}

/** A client of undici whose connections are reset where one ends before the answer that it owes. */
export function instanceClient(
  origin: string | URL,
  options: Client.Options,
  connect: InstanceConnector,
  addresses?: CurrentAddresses,
): Client {
  const isOwed = (): boolean => client.stats.running > 0;
  const client: Client = new Client(origin, { ...options, connect: connect(isOwed, addresses) });
  return client;
}

/**
 * A connection that is reset instead of closed while an answer is owed on it.
 * After an orderly close the kernel goes on sending what it was given, for
 * minutes, so that a request could reach an instance long after it was given up
 * and its agent was moved elsewhere.
 *
 * TLS is spoken over such a socket of our own: a TLS socket cannot be reset, but
 * it ends the socket below it when it is destroyed.
 */
class InstanceSocket extends Socket {
  readonly #isOwed: () => boolean;

  constructor(isOwed: () => boolean) {
    super({ readableHighWaterMark: READ_AHEAD_BYTES } as ConstructorParameters<typeof Socket>[0]);
    this.#isOwed = isOwed;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // Being destroyed already, it is only marked by this: the end that follows is a reset.
    if (this.#isOwed() && !this.connecting) this.resetAndDestroy();
    super._destroy(error, callback);
  }
}

/** `''` for an address: there is no SNI then, and the certificate must bear the address (RFC 6066 §3). */
function tlsName(origin: URL): string {
  const host = origin.hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) === 0 ? host : '';
}
