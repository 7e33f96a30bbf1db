import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../../src/simulator/child.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/redis-server.ts';
import { findTool } from '../support/system-tools.ts';

export interface Alert {
  readonly labels: Readonly<Record<string, string>> & { readonly alertname: string };
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: 'pending' | 'firing';
}

/** A real Prometheus that scrapes gateways and evaluates rules. */
export interface Prometheus {
  readonly version: string;
  /** Alerts that are pending or fire. */
  alerts(): Promise<Alert[]>;
  /** The result of an instant query: one value for each series. */
  query(expression: string): Promise<number[]>;
  close(): Promise<void>;
}

export interface PrometheusOptions {
  /** Admin addresses of the gateways. */
  readonly gateways: readonly string[];
  readonly rules: string;
  /** Between two scrapes, and between two evaluations of the rules. */
  readonly intervalSeconds: number;
}

const READY_MS = 30_000;
const STOP_MS = 10_000;

export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  const program = findTool('prometheus');
  if (program === undefined)
    throw new Error('prometheus is missing: npm run tools, or apt-get install prometheus');
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-prometheus-'));
  const file = join(directory, 'prometheus.yml');
  const interval = `${options.intervalSeconds}s`;
  // JSON is YAML too.
  const config = {
    global: { scrape_interval: interval, evaluation_interval: interval },
    scrape_configs: [
      {
        job_name: 'ici-gateway',
        static_configs: [{ targets: options.gateways.map((url) => new URL(url).host) }],
      },
    ],
    rule_files: [options.rules],
  };
  writeFileSync(file, JSON.stringify(config));
  const address = `127.0.0.1:${await freePort()}`;
  const child = new Child({
    program: [program],
    args: [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=${address}`,
      '--log.level=warn',
    ],
    bond: 'tied',
    onLine: () => undefined,
  });
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://${address}/api/v1/${path}`);
    const { status, data, error } = (await response.json()) as Record<string, unknown>;
    if (status !== 'success') throw new Error(`Prometheus answered ${path} with ${String(error)}`);
    return data;
  };
  const close = async (): Promise<void> => {
    await child.stop(STOP_MS);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const ready = eventually(
      async () => {
        const { ok, status } = await fetch(`http://${address}/-/ready`);
        if (!ok) throw new Error(`Prometheus is not ready: ${status}`);
        return (await get('status/buildinfo')) as { readonly version: string };
      },
      { within: READY_MS },
    );
    const { version } = await child.until(ready, READY_MS, 'Prometheus');
    return {
      version,
      alerts: async () => ((await get('alerts')) as { alerts: Alert[] }).alerts,
      query: async (expression) => {
        const { result } = (await get(`query?query=${encodeURIComponent(expression)}`)) as {
          result: { value: [number, string] }[];
        };
        return result.map(({ value: [, text] }) => Number(text));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
