import { statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { keepPendingConnections } from '../admin/idle-connections.ts';
import type { Config, SapControlConfig } from '../config/schema.ts';
import { readPasswordFile } from '../config/secrets.ts';
import { PasswordGate } from '../passwords/password-gate.ts';
import { explainStartError } from '../process/explain-start-error.ts';
import type { InheritedSocket } from '../process/messages.ts';
import { KeptListeners } from '../sapcontrol/kept-listeners.ts';
import { Methods } from '../sapcontrol/methods.ts';
import { createSapControlServer } from '../sapcontrol/server.ts';
import type { SapControlSource } from '../sapcontrol/source.ts';
import { UnixSocket } from '../sapcontrol/unix-socket.ts';
import { listenOn } from '../sockets/listen.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { bindOptions, urlOf } from './addresses.ts';
import { guardServer } from './connections.ts';
import { sapParameters } from './sap-parameters.ts';
import type { SapControlParts } from './supervised.ts';

export interface SapControl {
  /**
   * Listens on the port and on the Unix socket, as far as that is possible, and goes on trying what is not. Resolves
   * after the first attempt.
   *
   * @param inherited a port that is already bound
   */
  listen(inherited?: InheritedSocket): Promise<void>;
  /** Such as `http://127.0.0.1:50013`; `undefined` while the port cannot be had. */
  readonly url: string | undefined;
  close(): Promise<void>;
}

// How soon a listener comes back whose file was removed, or whose place was taken.
const LISTEN_AGAIN_MS = 5_000;

/** Builds the SAPControl web service of one gateway, with its two listeners. */
export function composeSapControl(
  config: Config,
  options: SapControlConfig,
  { logger, ...parts }: SapControlParts,
  metrics: Metrics,
  againMs = LISTEN_AGAIN_MS,
): SapControl {
  const host = hostname();
  const parameters = sapParameters(config, options, host);
  let port = 0;
  const source: SapControlSource = {
    ...parts,
    identity: {
      sid: options.sid,
      instanceNumber: options.instanceNumber,
      instanceName: options.instanceName,
      hostname: host,
    },
    builtAt: statSync(fileURLToPath(import.meta.url)).mtime,
    parameters: () => parameters,
  };
  const methods = new Methods(source, { http: () => port });
  const { passwordFile } = options;
  const gate =
    passwordFile === undefined ? undefined : new PasswordGate(() => readPasswordFile(passwordFile));
  const authority = options.address;
  const common = { methods, logger, authority, keepPendingConnections, via: config.forwarding.via };
  const open = createSapControlServer({ ...common, trust: gate });
  const owned = createSapControlServer({ ...common, trust: 'everyone' });
  for (const { server } of [open, owned]) guardServer(server, metrics, logger);
  const socket = new UnixSocket(owned.server, options.socket);
  let kept: KeptListeners | undefined;
  const url = (): string | undefined => {
    const address = open.server.listening ? open.server.address() : null;
    return address === null ? undefined : urlOf('http', address as AddressInfo);
  };
  return {
    listen: async (inherited) => {
      await Promise.all([open.ready(), owned.ready()]);
      kept = new KeptListeners(
        [
          {
            name: options.address,
            isOpen: async () => open.server.listening,
            open: async () => {
              await listenOn(open.server, inherited ?? bindOptions(options.address)).catch((error) => {
                const { message } = explainStartError(error, config) as Error;
                throw new Error(`sapcontrol.address: ${message}`, { cause: error });
              });
              ({ port } = open.server.address() as AddressInfo);
            },
          },
          {
            name: options.socket,
            isOpen: async () => owned.server.listening && !(await socket.isLost()),
            open: () => socket.open(),
          },
        ],
        againMs,
        logger,
      );
      await kept.start();
    },
    get url() {
      return url();
    },
    close: async () => {
      await kept?.stop();
      // First, so that the process that takes over finds the path free.
      await socket.remove();
      // Fastify ends only connections of listeners that it opened itself.
      for (const { server } of [open, owned]) server.closeAllConnections();
      await Promise.all([open.close(), owned.close()]);
    },
  };
}
