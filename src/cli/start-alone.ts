import type { ReadConfig } from '../config/read-config.ts';
import { inheritedSockets } from '../process/listening-socket.ts';
import type { SignalTarget } from '../process/signals.ts';
import type { Logger } from '../telemetry/logger.ts';
import { nextLevel } from '../telemetry/logger.ts';
import { startGateway } from '../wiring/gateway.ts';

/** The URLs on which a gateway listens. */
export interface ListensOn {
  readonly data: string;
  readonly admin: string;
}

/** A starting gateway of one or several processes. */
export interface Started {
  readonly target: SignalTarget;
  /** Resolves with undefined if the gateway was stopped before it listened. Rejects if it cannot start. */
  readonly listens: Promise<ListensOn | undefined>;
}

/** Starts a gateway in this process. Rejects if it cannot start. */
export async function startAlone(read: ReadConfig, logger: Logger): Promise<Started> {
  if (inheritedSockets(process.env, process.pid).size > 0) {
    throw new Error(
      'a gateway with workers: 0 cannot use sockets of systemd: start it without socket activation, or set workers to 1 or more',
    );
  }
  const gateway = await startGateway(read.config, logger, { shown: read });
  return {
    listens: Promise.resolve({ data: gateway.url, admin: gateway.adminUrl }),
    target: {
      ended: gateway.ended,
      stop: (why, times) => {
        gateway
          .stop(why, times)
          .catch((error: unknown) => logger.error({ err: error }, 'an error occurred while stopping'));
      },
      reload: (why) => {
        logger.warn(
          { why },
          'a gateway with workers: 0 cannot reload its configuration: restart it, or set workers to 1 or more',
        );
      },
      moveLogLevel: (step) => {
        logger.level = nextLevel(logger.level, step);
        logger.info({ level: logger.level }, 'log level');
      },
    },
  };
}
