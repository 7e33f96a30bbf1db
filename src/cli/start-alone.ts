import type { Config } from '../config/schema.ts';
import { inheritedSockets } from '../process/listening-socket.ts';
import type { SignalTarget } from '../process/signals.ts';
import type { Logger } from '../telemetry/logger.ts';
import { nextLevel } from '../telemetry/logger.ts';
import { startGateway } from '../wiring/gateway.ts';

/** Where a gateway listens, as URLs. */
export interface ListensOn {
  readonly data: string;
  readonly admin: string;
}

/** A gateway on its way, in one process or several. */
export interface Started {
  readonly target: SignalTarget;
  /** Undefined where it was stopped before it listened. Rejects when it cannot start. */
  readonly listens: Promise<ListensOn | undefined>;
}

/** A gateway in this very process. Rejects when it cannot start. */
export async function startAlone(config: Config, logger: Logger): Promise<Started> {
  if (inheritedSockets(process.env, process.pid).size > 0) {
    throw new Error(
      'a single process binds its addresses itself: start it without socket activation, or let it have workers',
    );
  }
  const gateway = await startGateway(config, logger);
  return {
    listens: Promise.resolve({ data: gateway.url, admin: gateway.adminUrl }),
    target: {
      ended: gateway.ended,
      stop: (why, times) => {
        gateway
          .stop(why, times)
          .catch((error: unknown) => logger.error({ err: error }, 'could not stop in order'));
      },
      reload: (why) => {
        logger.warn(
          { why },
          'a single process cannot take a new configuration: start it anew, or let it have workers',
        );
      },
      moveLogLevel: (step) => {
        logger.level = nextLevel(logger.level, step);
        logger.info({ level: logger.level }, 'log level');
      },
    },
  };
}
