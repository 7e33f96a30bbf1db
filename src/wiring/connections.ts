import type { Server } from 'node:net';
import { guardConnections } from '../process/connections.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** Makes an uncaught error of one connection end that connection, not the process. */
export function guardServer(server: Server, metrics: Metrics, logger: Logger): void {
  guardConnections(server, (error, { remoteAddress: peer }) => {
    metrics.connectionFaults.inc();
    logger.error(
      { err: error, peer },
      'closed a connection: nothing caught this error, which is a fault of the gateway',
    );
  });
}
