import { createHash, hkdfSync } from 'node:crypto';
import type { Server, TlsOptions } from 'node:tls';

// Tickets are valid for five minutes, so a change costs a client one full handshake.
const PERIOD_MS = 12 * 60 * 60 * 1_000;
// A name, a key for HMAC and one for AES (`ticketKeys` of Node's TLS server).
const KEY_BYTES = 48;

/**
 * The keys of TLS session tickets (RFC 5077, RFC 8446 section 4.6.1). Processes and gateways with the same secret resume
 * each other's sessions, and change their keys at the same time, without a message.
 */
export class TicketKeys {
  readonly #secret: string;
  readonly #audience: string;

  /** @param tls whose authorities of client certificates belong to the keys: a ticket must not outlive them */
  constructor(secret: string, { ca }: Pick<TlsOptions, 'ca'>) {
    this.#secret = secret;
    this.#audience = createHash('sha256')
      .update(`data ${ca ?? ''}`)
      .digest('hex');
  }

  /** For `tls.createServer`. */
  options(now: number): Pick<TlsOptions, 'ticketKeys' | 'sessionIdContext'> {
    // By default it follows from the command line, which differs between gateways.
    return { ticketKeys: this.#keyAt(now), sessionIdContext: this.#audience.slice(0, 32) };
  }

  /** Changes the keys of the server at the end of each period, as long as it listens. */
  rotate(server: Pick<Server, 'setTicketKeys' | 'once'>): void {
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      timer = setTimeout(
        () => {
          server.setTicketKeys(this.#keyAt(Date.now()));
          wait();
        },
        PERIOD_MS - (Date.now() % PERIOD_MS),
      );
      timer.unref();
    };
    wait();
    server.once('close', () => clearTimeout(timer));
  }

  #keyAt(now: number): Buffer {
    const period = Math.floor(now / PERIOD_MS);
    return Buffer.from(hkdfSync('sha256', this.#secret, this.#audience, `tickets ${period}`, KEY_BYTES));
  }
}
