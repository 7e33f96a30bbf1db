import { setFlagsFromString } from 'node:v8';
import type { Config } from '../config/schema.ts';
import type { Gateway } from '../gateway.ts';
import { startGateway } from '../gateway.ts';
import { openProcessLog } from '../telemetry/logger.ts';

// By default V8 lets a heap of 60 MB grow to 200 before it cleans up, so that memory swings by as much. Collecting
// earlier holds it flat and costs little, since nearly all garbage of a proxy dies young.
const HEAP_GROWTH = '--heap-growing-percent=40';
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;

/** Runs a gateway until a signal or an operator ends it. Rejects when it cannot start. */
export async function runStart(config: Config): Promise<void> {
  setFlagsFromString(HEAP_GROWTH);
  const log = openProcessLog(config.logging.level);
  let gateway: Gateway;
  try {
    gateway = await startGateway(config, log.logger);
  } catch (error) {
    await log.close();
    throw explained(error, config);
  }
  process.stderr.write(`ici-gateway listens on ${gateway.url}, admin on ${gateway.adminUrl}\n`);

  const signal = await Promise.race([nextSignal(), gateway.ended]);
  if (signal !== undefined) {
    for (const name of SIGNALS) process.once(name, endAtOnce);
    process.stderr.write(`ici-gateway ends on ${signal}; once more ends it at once\n`);
    await gateway.stop(signal);
  }
  if (!(await log.close())) endAtOnce();
}

/** Not process.exit, which waits for threads, and one may hang in a write that nobody reads. */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** A signal, or the end of a parent that started this process with a channel to it. */
function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      for (const name of SIGNALS) process.off(name, onSignal);
      process.off('disconnect', onDisconnect);
      resolve(signal);
    };
    const onDisconnect = (): void => onSignal('SIGTERM');
    for (const name of SIGNALS) process.on(name, onSignal);
    process.on('disconnect', onDisconnect);
    // The parent may have ended while this process was starting, and nobody listened yet.
    if (process.send !== undefined && !process.connected) onDisconnect();
  });
}

function explained(error: unknown, config: Config): unknown {
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string };
  const where = port === undefined ? config.listen.address : `${address}:${port}`;
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
