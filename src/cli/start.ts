import type { ReadConfig } from '../config/read-config.ts';
import { explainStartError } from '../process/explain-start-error.ts';
import { claimPidFile, TITLE } from '../process/pid-file.ts';
import { tuneHeap } from '../process/runtime.ts';
import { ServiceManager } from '../process/service-manager.ts';
import { installSignalHandlers } from '../process/signals.ts';
import { hasLostTerminal, hasTerminal, isAtTerminal } from '../process/terminal.ts';
import type { Logger } from '../telemetry/logger.ts';
import { exitNow, openNotices, openProcessLog } from '../telemetry/logger.ts';
import type { ConfigReader } from './config-reader.ts';
import { SHARED_WITH_NONE } from './embedded-store.ts';
import type { Started } from './start-alone.ts';

export interface StartOptions {
  readonly read: ReadConfig;
  /** Reads the configuration again in the same way as for this start. */
  readonly reader: ConfigReader;
  readonly pidFile: string | undefined;
}

/** Runs a gateway until a signal, or the end of the parent process, ends it. Rejects if it cannot start. */
export async function runStart({ read, reader, pidFile }: StartOptions): Promise<void> {
  const { config } = read;
  // Install the handlers before title and pid file are visible: an early SIGHUP would end the process.
  let isReloadAsked = false;
  const onEarly = (): void => {
    isReloadAsked = true;
  };
  process.on('SIGHUP', onEarly);
  const terminal = isAtTerminal() ? { isOpen: hasTerminal } : undefined;
  process.title = TITLE;
  const releasePidFile = pidFile === undefined ? undefined : claimPidFile(pidFile);
  tuneHeap();
  const log = openProcessLog(config.logging.level);
  const notices = openNotices();
  const close = async (): Promise<boolean> =>
    (await Promise.all([log.close(), notices.close()])).every((isWritten) => isWritten);
  const serviceManager = new ServiceManager(process.env, process.pid, (error) =>
    log.logger.warn({ err: error }, 'systemd cannot be told that the gateway runs: it will end the gateway'),
  );
  let onDisconnect = (): void => undefined;
  try {
    const { target, listens } = await start(read, reader, notices.write, log.logger);
    if (config.affinity.store === 'embedded')
      log.logger.warn(
        { stateDir: config.affinity.stateDir },
        `the store is embedded, and ${SHARED_WITH_NONE}`,
      );
    const stop = installSignalHandlers(target, notices.write, terminal);
    process.off('SIGHUP', onEarly);
    // A parent that opened a channel to this process wants it to end with the parent.
    onDisconnect = () => void stop('SIGTERM');
    process.on('disconnect', onDisconnect);
    // The parent may have ended before the listener was installed.
    if (process.send !== undefined && !process.connected) stop('SIGTERM');
    const urls = await listens;
    if (urls !== undefined) {
      serviceManager.ready();
      notices.write(`ici-gateway listens on ${urls.data}, admin on ${urls.admin}\n`);
      if (isReloadAsked) process.emit('SIGHUP', 'SIGHUP');
    }
    await target.ended;
  } catch (error) {
    await close();
    throw explainStartError(error, config);
  } finally {
    // A listener on the channel keeps the process alive.
    process.off('disconnect', onDisconnect);
    releasePidFile?.();
    serviceManager.close();
  }
  if (!(await close()) || hasLostTerminal()) exitNow();
}

/** Loads only the code that this way of running needs, so that little can fail in a supervisor. */
async function start(
  read: ReadConfig,
  reader: ConfigReader,
  warn: (text: string) => void,
  logger: Logger,
): Promise<Started> {
  if (read.config.workers === 0) {
    const { startAlone } = await import('./start-alone.ts');
    return startAlone(read, logger);
  }
  const { startSupervised } = await import('./start-supervised.ts');
  return startSupervised(read, reader, warn, logger);
}
