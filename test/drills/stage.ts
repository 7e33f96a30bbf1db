import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectorProcess } from '../../src/simulator/connector-process.ts';
import { startConnectorProcess } from '../../src/simulator/connector-process.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { PROGRAM, startGatewayProcess } from '../support/gateway-process.ts';
import type { LogLine } from '../support/test-gateway.ts';

/** Two instances that always run, a third one that the configuration adds and removes, and a Redis. */
export interface Stage {
  readonly instances: readonly ConnectorProcess[];
  /** A gateway that shares its store only with gateways of the same name. */
  gateway(config: GatewayPlan): Promise<DrilledGateway>;
  /** Everything that was started, including gateways. */
  close(): Promise<void>;
}

export interface GatewayPlan {
  readonly workers: number;
  /** Gateways of the same name share a store. */
  readonly store?: string;
  readonly listen?: string;
  readonly variant?: ConfigVariant;
  readonly lifecycle?: Record<string, unknown>;
}

/** The options that a reload changes. */
export interface ConfigVariant {
  readonly weight: number;
  readonly probeTimeout: string;
  readonly withThird: boolean;
}

export interface DrilledGateway extends GatewayProcess {
  /** The URL of its data port. */
  readonly port: number;
  /** Processes that have answered requests, according to their log lines. */
  readonly serving: ReadonlySet<number>;
  /** The file with the token of its admin port. */
  readonly tokenFile: string;
  /** Writes this configuration; a reload reads it. */
  vary(variant: ConfigVariant): void;
}

export const USUAL: ConfigVariant = { weight: 1, probeTimeout: '1s', withThird: false };
/** Instances that every configuration has. */
export const STAYING: ReadonlySet<string> = new Set(['a', 'b']);

const READY_MS = 60_000;

/** @param redisUrl of a Redis that outlives the stage */
export async function setStage(redisUrl: string): Promise<Stage> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  const run = randomBytes(4).toString('hex');
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-drill-'));
  closers.push(async () => rmSync(directory, { recursive: true, force: true }));
  const tokenFile = join(directory, 'admin.token');
  writeFileSync(tokenFile, randomBytes(32).toString('hex'), { mode: 0o600 });
  try {
    const instances = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => {
        const instance = await startConnectorProcess({ name, program: PROGRAM });
        closers.push(() => instance.close());
        return instance;
      }),
    );
    const configOf = (plan: GatewayPlan): Record<string, unknown> => {
      const { weight, probeTimeout, withThird } = plan.variant ?? USUAL;
      const used = instances.filter(({ name }) => withThird || STAYING.has(name));
      return {
        workers: plan.workers,
        admin: { address: '127.0.0.1:0', tokenFile },
        ...(plan.listen === undefined ? {} : { listen: { address: plan.listen } }),
        ...(plan.lifecycle === undefined ? {} : { lifecycle: plan.lifecycle }),
        affinity: { keyPrefix: `drill-${run}-${plan.store ?? 'one'}`, redis: { url: redisUrl } },
        pools: [
          {
            name: 'ici',
            mode: 'sticky',
            health: { path: '/health', incarnation: '"incarnation":"([^"]+)"', timeout: probeTimeout },
            instances: used.map(({ name, url }) => ({ id: name, url, weight: name === 'b' ? weight : 1 })),
          },
        ],
      };
    };
    return {
      instances,
      close,
      gateway: async (plan) => {
        const serving = new Set<number>();
        // It may run for hours, so the log lines of requests are not kept.
        const keeps = ({ msg, pid }: LogLine): boolean => {
          if (msg !== 'request') return true;
          serving.add(Number(pid));
          return false;
        };
        const gateway = await startGatewayProcess(configOf(plan), { readyMs: READY_MS, keeps });
        closers.push(() => gateway.close());
        return Object.assign(gateway, {
          port: Number(new URL(gateway.url).port),
          serving,
          tokenFile,
          vary: (variant: ConfigVariant) => gateway.configure(configOf({ ...plan, variant })),
        });
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
