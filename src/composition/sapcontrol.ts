import { statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Config, SapControlConfig } from '../config/schema.ts';
import { readPasswordFile } from '../config/secrets.ts';
import { parseAddress } from '../config/syntax.ts';
import { Methods } from '../control-plane/sapcontrol/methods.ts';
import { PasswordGate } from '../control-plane/sapcontrol/password-gate.ts';
import { createSapControlServer } from '../control-plane/sapcontrol/server.ts';
import type { SapControlSource } from '../control-plane/sapcontrol/source.ts';
import { ActRefused } from '../control-plane/sapcontrol/source.ts';
import { listenAtPath } from '../control-plane/sapcontrol/unix-socket.ts';
import type { GatewayStatus } from '../control-plane/status.ts';
import type { Logger } from '../telemetry/logger.ts';
import { sapParameters } from './sap-parameters.ts';

/** What only the processes know: who there is, and how to end or restart them. */
export type SapControlParts = Omit<SapControlSource, 'identity' | 'builtAt' | 'parameters'> & {
  readonly logger: Logger;
};

export interface SapControl {
  /**
   * Opens the port, or goes on with one that is open already, and the Unix socket.
   * Returns where the port is, such as `http://127.0.0.1:50013`. Rejects, with
   * nothing left open, where one of them cannot be had.
   */
  listen(inherited?: { readonly fd: number }): Promise<string>;
  close(): Promise<void>;
}

interface SoleParts {
  readonly startedAt: Date;
  readonly status: () => GatewayStatus;
  readonly stop: (why: string, times?: { readonly timeout?: number }) => Promise<void>;
  readonly logger: Logger;
}

/** The parts of a gateway that is all in this process. */
export function soleProcess({ startedAt, status, stop, logger }: SoleParts): SapControlParts {
  const { pid } = process;
  return {
    pid,
    startedAt,
    status,
    logger,
    state: () => status().state,
    liveWorkers: () => 1,
    pids: () => [pid],
    stop: async (timeout) => {
      // It ends with this service itself, so its end cannot be waited for.
      stop('SAPControl', timeout === undefined ? {} : { timeout }).catch((error: unknown) =>
        logger.error({ err: error }, 'could not stop as it was asked to by SAPControl'),
      );
    },
    restart: async () => {
      throw new ActRefused('this gateway is one process, which cannot replace itself; restart its service');
    },
    signal: async (to, signal) => {
      process.kill(to, signal);
    },
  };
}

/** The SAPControl web service of one gateway, on its two listeners. */
export function composeSapControl(
  config: Config,
  options: SapControlConfig,
  { logger, ...parts }: SapControlParts,
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
  const open = createSapControlServer({ methods, trust: gate, logger, authority });
  const owned = createSapControlServer({ methods, trust: 'everyone', logger, authority });
  let removeSocket = async (): Promise<void> => {};

  const close = async (): Promise<void> => {
    // First, so that whoever takes over finds the place free.
    await removeSocket();
    await Promise.all([open.close(), owned.close()]);
  };
  return {
    listen: async (inherited) => {
      try {
        removeSocket = await listenAtPath(owned, options.socket);
        await open.listen(inherited === undefined ? addressOf(options) : onDescriptor(inherited));
      } catch (error) {
        await close();
        throw error;
      }
      const { address, family, port: bound } = open.server.address() as AddressInfo;
      port = bound;
      return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
    },
    close,
  };
}

/** Fastify passes this on to Node, where a descriptor is stronger than a host; without one it would open a second server. */
function onDescriptor({ fd }: { readonly fd: number }): { host: string } {
  const options = { fd, host: '127.0.0.1' };
  return options;
}

function addressOf({ address }: SapControlConfig): { host: string; port: number } {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(`cannot listen on ${address}: write host:port`);
  return parsed;
}
