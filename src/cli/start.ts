import type { Config } from '../config/schema.ts';
import { explainBindError } from '../process/explain-bind-error.ts';
import { claimPidFile, TITLE } from '../process/pid-file.ts';
import { tuneHeap } from '../process/runtime.ts';
import { installSignalHandlers } from '../process/signals.ts';
import type { Logger } from '../telemetry/logger.ts';
import { exitNow, openNotices, openProcessLog } from '../telemetry/logger.ts';
import type { Started } from './start-alone.ts';

export interface StartOptions {
  readonly config: Config;
  /** Reads the configuration again in the same way as for this start, and prints warnings. Throws if it is invalid. */
  readonly readConfig: (warn: (text: string) => void) => Config;
  readonly pidFile: string | undefined;
}

/** Runs a gateway until a signal, or the end of the parent process, ends it. Rejects if it cannot start. */
export async function runStart({ config, readConfig, pidFile }: StartOptions): Promise<void> {
  // Install the handlers before title and pid file are visible: an early SIGHUP would end the process.
  let isReloadAsked = false;
  const onEarly = (): void => {
    isReloadAsked = true;
  };
  process.on('SIGHUP', onEarly);
  process.title = TITLE;
  const releasePidFile = pidFile === undefined ? undefined : claimPidFile(pidFile);
  tuneHeap();
  const log = openProcessLog(config.logging.level);
  const notices = openNotices();
  const close = async (): Promise<boolean> =>
    (await Promise.all([log.close(), notices.close()])).every((isWritten) => isWritten);
  let onDisconnect = (): void => undefined;
  try {
    const { target, listens } = await start(config, () => readConfig(notices.write), log.logger);
    const stop = installSignalHandlers(target, notices.write);
    process.off('SIGHUP', onEarly);
    // A parent that opened a channel to this process wants it to end with the parent.
    onDisconnect = () => void stop('SIGTERM');
    process.on('disconnect', onDisconnect);
    // The parent may have ended before the listener was installed.
    if (process.send !== undefined && !process.connected) stop('SIGTERM');
    const urls = await listens;
    if (urls !== undefined) {
      notices.write(`ici-gateway listens on ${urls.data}, admin on ${urls.admin}\n`);
      if (isReloadAsked) target.reload('SIGHUP');
    }
    await target.ended;
  } catch (error) {
    await close();
    throw explainBindError(error, config);
  } finally {
    // A listener on the channel keeps the process alive.
    process.off('disconnect', onDisconnect);
    releasePidFile?.();
  }
  if (!(await close())) exitNow();
}

/** Loads only the code that this way of running needs, so that little can fail in a supervisor. */
async function start(config: Config, readConfig: () => Config, logger: Logger): Promise<Started> {
  if (config.workers === 0) {
    const { startAlone } = await import('./start-alone.ts');
    return startAlone(config, logger);
  }
  const { startSupervised } = await import('./start-supervised.ts');
  return startSupervised(config, readConfig, logger);
}
