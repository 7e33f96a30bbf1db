import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GatewayStatus } from '../../src/core/gateway-status.ts';
import { MAIN } from '../../src/package.ts';
import { Child } from '../../src/simulator/child.ts';
import { eventually } from './eventually.ts';
import type { LogLine } from './test-gateway.ts';

const STOP_MS = 60_000;

/** The command line of the built program, without arguments. */
export const PROGRAM: readonly string[] = [process.execPath, MAIN];

/** The built gateway in its own process, so that tests can stop and kill it like a real one. */
export interface GatewayProcess {
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
  /** Its log lines so far, oldest first. */
  readonly log: LogLine[];
  signal(name: NodeJS.Signals): void;
  /** Replaces its configuration file; a reload reads it. */
  configure(config: Record<string, unknown>): void;
  status(): Promise<GatewayStatus>;
  metrics(): Promise<string>;
  kill(): Promise<void>;
  /** Sends SIGTERM; resolves when it has ended by itself, and rejects after a minute. */
  stop(): Promise<void>;
  /** Starts it again with the same files, after {@link kill} or {@link stop}; resolves when it is ready. */
  start(): Promise<void>;
  /** Sends SIGTERM and removes its files. */
  close(): Promise<void>;
}

interface StartOptions {
  /** The start of the command line, to run it in another environment. */
  readonly prefix?: readonly string[];
  /** Its main file; by default that of the build. */
  readonly main?: string;
  /** How long it may take to become ready, in milliseconds. */
  readonly readyMs?: number;
  /** The log lines to keep; all by default. */
  readonly keeps?: (line: LogLine) => boolean;
  /** Return before it is ready; its addresses are empty until it has logged them. */
  readonly whileStarting?: boolean;
}

/**
 * Starts `ici-gateway start` with this configuration on free ports, and waits until it is ready. It is a single
 * process unless the configuration says otherwise.
 */
export async function startGatewayProcess(
  config: Record<string, unknown>,
  {
    prefix = [],
    main = MAIN,
    // Some seconds of processor time, of which a busy machine gives a tenth.
    readyMs = 90_000,
    keeps = () => true,
    whileStarting = false,
  }: StartOptions = {},
): Promise<GatewayProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-test-'));
  const file = join(directory, 'gateway.yaml');
  // JSON is YAML too.
  const free = { address: '127.0.0.1:0' };
  const configure = (given: Record<string, unknown>): void =>
    writeFileSync(file, JSON.stringify({ workers: 0, listen: free, admin: free, ...given }));
  configure(config);
  const log: LogLine[] = [];
  let url = '';
  let adminUrl = '';
  const spawn = (): Child =>
    new Child({
      program: [...prefix, process.execPath, main],
      args: ['start', '--config', file],
      env: { XDG_STATE_HOME: directory },
      // Ends with the test, whatever its result.
      bond: 'tied',
      onLine: (text) => {
        const line = JSON.parse(text) as LogLine;
        if (keeps(line)) log.push(line);
        if (line.msg === 'listening') url = String(line['address']);
        if (line.msg === 'admin listening') adminUrl = String(line['address']);
      },
    });
  let child = spawn();
  const get = async (path: string): Promise<string> => {
    const response = await fetch(`${adminUrl}${path}`, { headers: tokenOf(config) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`);
    return text;
  };
  const ready = (): Promise<void> =>
    eventually(
      async () => {
        if (url === '' || adminUrl === '') throw new Error('the gateway does not listen');
        await get('/readyz');
      },
      { within: readyMs },
    );
  if (!whileStarting) await child.until(ready(), readyMs, 'the gateway');
  return {
    get url() {
      return url;
    },
    get adminUrl() {
      return adminUrl;
    },
    get pid() {
      return child.pid;
    },
    log,
    signal: (name) => child.signal(name),
    configure,
    status: async () => JSON.parse(await get('/status')),
    metrics: () => get('/metrics'),
    kill: () => child.kill(),
    stop: async () => {
      child.signal('SIGTERM');
      await eventually(
        () => {
          if (!child.ended) throw new Error(`the gateway has not ended ${STOP_MS} ms after SIGTERM`);
        },
        { within: STOP_MS },
      );
    },
    start: async () => {
      url = '';
      adminUrl = '';
      child = spawn();
      await child.until(ready(), readyMs, 'the gateway');
    },
    close: async () => {
      await child.stop(5_000);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The header with the token of the admin port, if the configuration names one. */
function tokenOf({ admin }: Record<string, unknown>): Record<string, string> {
  const { tokenFile } = (admin ?? {}) as { readonly tokenFile?: string };
  return tokenFile === undefined ? {} : { authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}` };
}
