import { MAIN } from '../package.ts';
import { Child } from './child.ts';

export interface GatewayProcessOptions {
  /** Arguments of `start`, without the two addresses: these always use free ports of this machine. */
  readonly args: readonly string[];
  /** Replaces `node dist/main.js`. */
  readonly program?: readonly string[];
  /** Aborts the start. No effect once the gateway is ready. */
  readonly signal?: AbortSignal | undefined;
}

/** A gateway in its own process. */
export interface GatewayProcess {
  /** The URL for SAP. */
  readonly url: string;
  /** The URL for operators. */
  readonly adminUrl: string;
  /** Resolves with the reason if the gateway has ended unexpectedly. */
  readonly died: Promise<string>;
  /** Sends SIGTERM, and SIGKILL to the whole group after some seconds. */
  stop(): Promise<void>;
  /** Sends SIGKILL without waiting, for when this process itself must end. */
  abandon(): void;
}

const READY_WITHIN_MS = 20_000;
const STOP_GRACE_MS = 5_000;

/** Starts a gateway. Resolves when it is ready for traffic. */
export async function startGatewayProcess(options: GatewayProcessOptions): Promise<GatewayProcess> {
  let stopped = false;
  const addresses: { data?: string; admin?: string } = {};
  let known: (both: { data: string; admin: string }) => void = () => undefined;
  const listening = new Promise<{ data: string; admin: string }>((resolve) => {
    known = resolve;
  });
  const child = new Child({
    program: options.program ?? [process.execPath, MAIN],
    args: ['start', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...options.args],
    bond: 'group',
    onLine: (line) => {
      const entry = parseLine(line);
      if (typeof entry?.['address'] !== 'string') return;
      if (entry['msg'] === 'listening') addresses.data = entry['address'];
      if (entry['msg'] === 'admin listening') addresses.admin = entry['address'];
      const { data, admin } = addresses;
      if (data !== undefined && admin !== undefined) known({ data, admin });
    },
  });
  // Killing the child makes `until` reject.
  const ready = listening.then(async (both) => {
    while (!child.ended && !(await isReady(both.admin))) {
      await new Promise<void>((resolve) => {
        setTimeout(resolve, 50);
      });
    }
    return both;
  });
  const breakOff = (): void => child.signal('SIGKILL');
  if (options.signal?.aborted === true) breakOff();
  options.signal?.addEventListener('abort', breakOff, { once: true });
  const { data, admin } = await child.until(ready, READY_WITHIN_MS, 'gateway');
  options.signal?.removeEventListener('abort', breakOff);
  return {
    url: data,
    adminUrl: admin,
    died: new Promise((resolve) => {
      void child.exited.then(() => {
        if (!stopped) resolve(child.reason);
      });
    }),
    stop: async () => {
      stopped = true;
      await child.stop(STOP_GRACE_MS);
      // Kill group members that its own shutdown may have left.
      child.signal('SIGKILL');
    },
    abandon: () => {
      stopped = true;
      child.signal('SIGKILL');
    },
  };
}

function parseLine(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

async function isReady(adminUrl: string): Promise<boolean> {
  return (await get(`${adminUrl}/readyz`)) !== undefined;
}

/** The gateway's part of the demo's display; empty if the gateway did not answer. */
export interface GatewayReport {
  /** Health by instance. */
  readonly health: ReadonlyMap<string, string>;
  /** Requests by decision, since the start of the gateway. */
  readonly decisions: ReadonlyMap<string, number>;
}

/** Reads the admin API. Never rejects: a display must not fail with its source. */
export async function observeGateway(adminUrl: string): Promise<GatewayReport> {
  const [status, metrics] = await Promise.all([get(`${adminUrl}/status`), get(`${adminUrl}/metrics`)]);
  return { health: healthIn(status ?? '{}'), decisions: decisionsIn(metrics ?? '') };
}

async function get(url: string): Promise<string | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000), headers: { connection: 'close' } });
    const text = await answer.text();
    return answer.ok ? text : undefined;
  } catch {
    return undefined;
  }
}

function healthIn(status: string): Map<string, string> {
  const { pools = [] } = JSON.parse(status) as {
    pools?: { instances: { id: string; health: string }[] }[];
  };
  return new Map(pools.flatMap(({ instances }) => instances.map(({ id, health }) => [id, health])));
}

/** Sums `gateway_requests_total` by its label `decision` (Prometheus text format 0.0.4). */
export function decisionsIn(metrics: string): Map<string, number> {
  const decisions = new Map<string, number>();
  const sample = /^gateway_requests_total\{([^}]*)\} (\S+)/gm;
  for (const [, labels = '', value = '0'] of metrics.matchAll(sample)) {
    const decision = /(?:^|,)decision="([^"]*)"/.exec(labels)?.[1];
    if (decision !== undefined) decisions.set(decision, (decisions.get(decision) ?? 0) + Number(value));
  }
  return decisions;
}
