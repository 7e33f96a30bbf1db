import type { Config } from '../config/schema.ts';
import { explainDiskError } from '../core/disk-error.ts';
import type { FailureDetails } from './messages.ts';

const LAST_PRIVILEGED_PORT = 1_023;

/** The same error, or one with a remedy if an address cannot be listened on, or a file not be used. */
export function explainStartError(error: unknown, { listen, admin }: Config): unknown {
  const { code, port, address, path, message } = error as Error & FailureDetails;
  const explained = (text: string): Error => new Error(text, { cause: error });
  if (path !== undefined) {
    const text = explainDiskError(path, error, 'used');
    return text === undefined ? error : explained(text);
  }
  const isPort = port !== undefined && port > 0;
  const where = isPort ? `${address}:${port}` : (address ?? `${listen.address} or ${admin.address}`);
  switch (code) {
    case 'EADDRINUSE':
      return explained(`${where} is in use: stop the process that listens there or choose another port`);
    case 'EACCES':
    case 'EPERM':
      if (isPort && port > LAST_PRIVILEGED_PORT)
        return explained(
          `${where} cannot be bound (${message}): something such as SELinux forbids it; see its log`,
        );
      return isPort
        ? explained(
            `this user has no permission to bind ${where}: choose a port above ${LAST_PRIVILEGED_PORT}, or give the service CAP_NET_BIND_SERVICE`,
          )
        : error;
    case 'EADDRNOTAVAIL':
      return explained(`${where} is not an address of this host: correct the address in the configuration`);
    default:
      return error;
  }
}
