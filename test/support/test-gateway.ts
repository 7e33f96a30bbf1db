import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { loadConfig } from '../../src/config/load.ts';
import type { Gateway } from '../../src/wiring/gateway.ts';
import { startGateway } from '../../src/wiring/gateway.ts';

export interface LogLine {
  readonly msg: string;
  readonly level: number;
  readonly [field: string]: unknown;
}

export interface TestGateway extends Gateway {
  /** Its log lines, oldest first. */
  readonly log: LogLine[];
  readonly port: number;
  /** The log lines of ended requests. */
  requests(): LogLine[];
}

export interface TestGatewayOptions {
  /** Configuration options as environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Kept when the gateway closes, so that another one can continue with it. */
  readonly stateDir?: string;
  /** Return the gateway while it is still Starting. */
  readonly whileStarting?: boolean;
}

/**
 * A gateway in the test's process, on free ports, built from a configuration
 * in YAML like any other. Without a `redis` section it has an embedded store, in a
 * separate directory that is removed when it closes, unless another one is given.
 */
export async function startTestGateway(
  yaml: string,
  { env = {}, stateDir: kept, whileStarting = false }: TestGatewayOptions = {},
): Promise<TestGateway> {
  const stateDir = kept ?? mkdtempSync(join(tmpdir(), 'ici-gateway-test-'));
  const removeState = (): void => {
    if (kept === undefined) rmSync(stateDir, { recursive: true, force: true });
  };
  const text = `listen: { address: '127.0.0.1:0' }\nadmin: { address: '127.0.0.1:0' }\n${yaml}`;
  const { config } = loadConfig({
    text,
    env: { ...sizeOfCache(yaml), XDG_STATE_HOME: stateDir, HOME: stateDir, ...env },
  });
  const log: LogLine[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      log.push(JSON.parse(String(chunk)));
      done();
    },
  });
  try {
    const gateway = await startGateway(config, pino({ level: config.logging.level, base: null }, sink));
    if (!whileStarting) await gateway.running;
    return {
      ...gateway,
      log,
      port: Number(new URL(gateway.url).port),
      requests: () => log.filter(({ msg }) => msg === 'request'),
      close: async (graceMs) => {
        await gateway.close(graceMs);
        removeState();
      },
    };
  } catch (error) {
    removeState();
    throw error;
  }
}

/** The caches of the default size take a third of the processor time of a start, and no test needs them. */
function sizeOfCache(yaml: string): Readonly<Record<string, string>> {
  return yaml.includes('cacheEntries') ? {} : { ICI_GATEWAY_AFFINITY__CACHE_ENTRIES: '20000' };
}
