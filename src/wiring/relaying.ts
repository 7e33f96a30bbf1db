import type { Config } from '../config/schema.ts';
import { readPeerSecret } from '../config/secrets.ts';
import type { Init } from '../process/messages.ts';
import type { Pool } from '../proxy/pool.ts';
import { RelayClient } from '../proxy/relay-client.ts';
import { RelayServer } from '../proxy/relay-server.ts';
import { Relaying } from '../proxy/relaying.ts';
import { listenOn } from '../sockets/listen.ts';
import { SharedKey } from '../sockets/shared-key.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { whereToListen } from './addresses.ts';

const PURPOSE = 'ici-gateway relay';
// Peers are in the same data centre. One that does not answer by then does not get the request.
const JUDGE_MS = 500;
// It then says twice a second that it waits for the instance.
const SILENT_MS = 2_000;

/** What hands requests to peers; `undefined` if none are configured. */
export function composeRelaying({ peers, timeouts }: Config, metrics: Metrics): Relaying | undefined {
  if (peers === undefined) return undefined;
  const key = new SharedKey(readPeerSecret(peers.keyFile), PURPOSE);
  return new Relaying(
    new RelayClient({ key, judgeMs: JUDGE_MS, silentMs: SILENT_MS, idleMs: timeouts.responseIdle }),
    metrics,
  );
}

/** Takes requests of peers, if that is configured. */
export interface PeerListener {
  /** Takes no more requests. Resolves when those that it has taken are answered. */
  stopAccepting(): Promise<void>;
  abortAll(): void;
}

export async function listenForPeers(
  init: Init,
  pools: readonly Pool[],
  metrics: Metrics,
  logger: Logger,
): Promise<PeerListener | undefined> {
  const { peers, limits } = init.config;
  if (peers === undefined) return undefined;
  const { server } = new RelayServer({
    key: new SharedKey(readPeerSecret(peers.keyFile), PURPOSE),
    pools,
    // Names and values of fields may double in JSON.
    messageBytes: limits.identityBytes + 2 * limits.headerBytes,
    logRequests: init.config.logging.requests,
    metrics,
    logger,
  });
  await listenOn(server, whereToListen(init, 'peers', peers.address));
  return {
    stopAccepting: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
    abortAll: () => server.closeAllConnections(),
  };
}
