import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectorProcess } from './connector-process.ts';
import { startConnectorProcess } from './connector-process.ts';
import type { GatewayProcess } from './gateway-process.ts';
import { startGatewayProcess } from './gateway-process.ts';

/** The processes of a demo: three connectors and a gateway in front of them. */
export interface DemoStage {
  readonly connectors: readonly ConnectorProcess[];
  readonly gateway: GatewayProcess;
  /** The requests that reached the connectors, over all connectors and incarnations. */
  deliveries(): Promise<{ delivered: number; duplicates: string[] }>;
  /** Ends every process and removes every file. */
  close(): Promise<void>;
  /** Does the same without waiting, for when this process must end at once. */
  abandon(): void;
}

const NAMES = ['a', 'b', 'c'];

/** Starts the processes of a demo. Rejects soon after the signal aborts; if it rejects, it leaves nothing behind. */
export async function setStage(program?: readonly string[], signal?: AbortSignal): Promise<DemoStage> {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-demo-'));
  const connectors: ConnectorProcess[] = [];
  let gateway: GatewayProcess | undefined;
  const removeFiles = (): void => rmSync(directory, { recursive: true, force: true });
  const close = async (): Promise<void> => {
    await gateway?.stop();
    await Promise.all(connectors.map((connector) => connector.close()));
    removeFiles();
  };
  const own = program === undefined ? {} : { program };
  try {
    const started = await Promise.allSettled(NAMES.map((name) => startConnectorProcess({ name, ...own })));
    for (const outcome of started) if (outcome.status === 'fulfilled') connectors.push(outcome.value);
    for (const outcome of started) if (outcome.status === 'rejected') throw outcome.reason;
    const instances = connectors.flatMap(({ name, url }) => ['--instance', `${name}=${url}`]);
    gateway = await startGatewayProcess({
      args: ['--mode', 'sticky', ...instances, '--health-path', '/health', '--state-dir', directory],
      ...own,
      signal,
    });
  } catch (error) {
    await close();
    throw error;
  }
  const running = gateway;
  return {
    connectors,
    gateway: running,
    deliveries: async () => {
      const times = new Map<string, number>();
      let delivered = 0;
      for (const connector of connectors) {
        const { total, ids = {} } = await connector.deliveries();
        delivered += total;
        for (const [id, { started }] of Object.entries(ids)) times.set(id, (times.get(id) ?? 0) + started);
      }
      return { delivered, duplicates: [...times].filter(([, count]) => count > 1).map(([id]) => id) };
    },
    close,
    abandon: () => {
      running.abandon();
      for (const connector of connectors) connector.abandon();
      removeFiles();
    },
  };
}
