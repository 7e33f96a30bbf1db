import type { Config } from '../config/schema.ts';

/** The same error, or one with the remedy where an address of the configuration cannot be listened on. */
export function explainBindError(error: unknown, { listen, admin }: Config): unknown {
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string };
  const where = port === undefined ? `${listen.address} or ${admin.address}` : `${address}:${port}`;
  switch (code) {
    case 'EADDRINUSE':
      return new Error(`${where} is in use: stop what listens there or choose another port`, {
        cause: error,
      });
    case 'EACCES':
      return new Error(`${where} may not be bound by this user: choose a port above 1023`, { cause: error });
    case 'EADDRNOTAVAIL':
      return new Error(`${where} is no address of this host`, { cause: error });
    default:
      return error;
  }
}
