import type { Config } from '../config/schema.ts';
import { adminConnectionsWithin, connectionsWithin, filesNeeded, isOutOfFiles } from '../core/open-files.ts';
import { fileLimit } from '../process/file-limit.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** What a process does about the number of files that it may open. */
export interface OpenFiles {
  /** The most connections of clients. */
  readonly connections: number;
  /** To be called when a connection of a client was closed at once, because there are as many. */
  dropped(): void;
  /** To be called when an idle, slow or waiting connection of a client is closed to make room for new ones. */
  givenUp(client: string): void;
  /** To be called with each error of a connection that the gateway opens. */
  failed(at: 'connect' | 'probe', error: NodeJS.ErrnoException): void;
}

type Limits = Pick<Config, 'limits' | 'workers'>;

const REMEDY = 'raise it (LimitNOFILE in a systemd unit, ulimit -n in a shell), or lower limits.connections';

export function composeOpenFiles(config: Limits, metrics: Metrics, logger: Logger): OpenFiles {
  const { limits } = config;
  const files = fileLimit()?.soft ?? Number.POSITIVE_INFINITY;
  const connections = connectionsWithin(files, limits, adminConnections(config, files));
  return {
    connections,
    dropped: () => {
      metrics.connectionsDropped.inc();
      if (connections === limits.connections) {
        logger.warn(
          { connections },
          'closed a connection of a client at once: limits.connections is reached',
        );
        return;
      }
      metrics.filesExhausted.inc({ at: 'accept' });
      logger.warn(
        { connections, files },
        `closed a connection of a client at once, because of the limit of open files: ${REMEDY}`,
      );
    },
    givenUp: (client) => {
      metrics.connectionsGivenUp.inc();
      if (connections === limits.connections) {
        logger.warn(
          { client, closed: 1, connections },
          'closed idle or slow connections of a client to make room: limits.connections is reached',
        );
        return;
      }
      metrics.filesExhausted.inc({ at: 'accept' });
      logger.warn(
        { client, closed: 1, connections, files },
        `closed idle or slow connections of a client to make room, because of the limit of open files: ${REMEDY}`,
      );
    },
    failed: (at, error) => {
      if (!isOutOfFiles(error)) return;
      metrics.filesExhausted.inc({ at });
      logger.warn({ at, files, err: error }, `no file is left for a connection to an instance: ${REMEDY}`);
    },
  };
}

/** Says at the start that a process of this gateway may open fewer files than its configuration can need. */
export function warnOfFewFiles(config: Limits, logger: Logger): void {
  const limit = fileLimit();
  const { needed, connections } = filesOf(config, limit?.soft ?? Number.POSITIVE_INFINITY);
  if (limit === undefined || limit.soft >= needed) return;
  logger.warn(
    { files: limit.soft, hardLimit: limit.hard, needed, connections },
    `the limit of open files is lower than limits.connections and limits.inFlight can need, so a worker takes fewer connections of clients: ${REMEDY}`,
  );
}

/** What one process that carries traffic needs, and how many clients it serves with so many files. */
export function filesOf(config: Limits, files: number): { needed: number; connections: number } {
  return {
    needed: filesNeeded(config.limits, adminConnections(config, Number.POSITIVE_INFINITY)),
    connections: connectionsWithin(files, config.limits, adminConnections(config, files)),
  };
}

/** A single process serves the admin port too. */
function adminConnections({ workers }: Limits, files: number): number {
  return workers === 0 ? adminConnectionsWithin(files) : 0;
}
