import { hkdfSync } from 'node:crypto';
import type { ConnectionOptions, TlsOptions } from 'node:tls';

// Forward secrecy, and no certificates. Node offers pre-shared keys up to TLS 1.2 only.
const CIPHERS = 'ECDHE-PSK-CHACHA20-POLY1305';
const VERSION = 'TLSv1.2';
const KEY_BYTES = 32;

/** TLS between gateways that share a secret (RFC 4279, RFC 8442): each side proves that it knows it. */
export class SharedKey {
  readonly #key: Buffer;
  readonly #identity: string;

  /** @param purpose keeps apart what the same secret is used for */
  constructor(secret: string, purpose: string) {
    this.#identity = purpose;
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', purpose, KEY_BYTES));
  }

  /** For `tls.createServer`. */
  get server(): TlsOptions {
    return {
      ciphers: CIPHERS,
      minVersion: VERSION,
      maxVersion: VERSION,
      pskCallback: (_socket, identity) => (identity === this.#identity ? this.#key : null),
    };
  }

  /** For `tls.connect`. */
  get client(): ConnectionOptions {
    return {
      ciphers: CIPHERS,
      minVersion: VERSION,
      maxVersion: VERSION,
      pskCallback: () => ({ psk: this.#key, identity: this.#identity }),
      // The key proves who the peer is.
      checkServerIdentity: () => undefined,
    };
  }
}
