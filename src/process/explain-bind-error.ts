import type { Config } from '../config/schema.ts';

/** The same error, or one with a remedy if a configured address cannot be listened on. */
export function explainBindError(error: unknown, { listen, admin }: Config): unknown {
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string };
  const where = port === undefined ? `${listen.address} or ${admin.address}` : `${address}:${port}`;
  switch (code) {
    case 'EADDRINUSE':
      return new Error(`${where} is in use: stop the process that listens there or choose another port`, {
        cause: error,
      });
    case 'EACCES':
      return new Error(`this user has no permission to bind ${where}: choose a port above 1023`, {
        cause: error,
      });
    case 'EADDRNOTAVAIL':
      return new Error(`${where} is not an address of this host: correct the address in the configuration`, {
        cause: error,
      });
    default:
      return error;
  }
}
