import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAIN } from '../package.ts';
import { Child } from './child.ts';
import type { DeliveryReport } from './deliveries.ts';
import { Deliveries } from './deliveries.ts';

export interface ConnectorProcessOptions {
  readonly name: string;
  readonly port?: number;
  /** The address on which it listens; 127.0.0.1 by default. */
  readonly host?: string;
  /** Replaces `node dist/main.js`. */
  readonly program?: readonly string[];
}

/** A request of which the header arrived. */
export interface Arrived {
  readonly id: string;
  /** The time by this process's `performance.now()`. */
  readonly at: number;
  /** The incarnation of the connector. */
  readonly incarnation: string;
}

/** A simulated connector in its own process, so that it can really crash. */
export interface ConnectorProcess {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  /** The pid of the current process, or of the last one. */
  readonly pid: number;
  /** Sends SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>;
  /** Sends SIGSTOP: the kernel still accepts connections, but nothing answers. */
  stop(): void;
  /** Sends SIGCONT, after {@link stop}. */
  cont(): void;
  /** Starts a new process on the same port, after {@link kill} or instead of it. */
  restart(): Promise<void>;
  /** Counts of all requests that arrived, over all incarnations. Works even while no process runs. */
  deliveries(): Promise<DeliveryReport>;
  /** All requests that arrived, one by one, earliest first. */
  arrivals(): Promise<Arrived[]>;
  /** Kills the process and removes its files. */
  close(): Promise<void>;
  /** Does the same without waiting, for when this process must end at once. */
  abandon(): void;
}

/** The variable with the file for the child's deliveries. Not a command option, because users have no need for it. */
export const JOURNAL_VARIABLE = 'ICI_SIMULATOR_JOURNAL';

const READY_WITHIN_MS = 15_000;
/** Enough for one test or one demo. */
const MAX_DELIVERIES = 2_000_000;

/** The child process ends itself when this one ends, for whatever reason. */
export async function startConnectorProcess(options: ConnectorProcessOptions): Promise<ConnectorProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'ici-simulator-'));
  const journal = join(directory, 'deliveries');
  const program = options.program ?? [process.execPath, MAIN];
  const host = options.host === undefined ? [] : ['--host', options.host];

  const start = async (port: number): Promise<{ child: Child; url: string }> => {
    let listening: (url: string) => void = () => undefined;
    const ready = new Promise<string>((resolve) => {
      listening = resolve;
    });
    const child = new Child({
      program,
      args: ['simulate', 'connector', '--name', options.name, '--port', String(port), ...host],
      env: { [JOURNAL_VARIABLE]: journal },
      bond: 'tied',
      onLine: (line) => {
        if (line.startsWith('listening ')) listening(line.slice('listening '.length).trim());
      },
    });
    const url = await child.until(ready, READY_WITHIN_MS, `simulated connector ${options.name}`);
    return { child, url };
  };

  let running: { child: Child; url: string };
  try {
    running = await start(options.port ?? 0);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  const { url } = running;
  const port = Number(new URL(url).port);
  return {
    name: options.name,
    url,
    port,
    get pid() {
      return running.child.pid;
    },
    kill: () => running.child.kill(),
    stop: () => running.child.signal('SIGSTOP'),
    cont: () => running.child.signal('SIGCONT'),
    restart: async () => {
      await running.child.kill();
      running = await start(port);
    },
    deliveries: async () => {
      const deliveries = new Deliveries(MAX_DELIVERIES);
      for (const { event, id } of await readJournal(journal)) {
        const ids = id === '' ? [] : [id];
        if (event === 'header') deliveries.started(ids);
        else deliveries.completed(ids);
      }
      return deliveries.report(true);
    },
    arrivals: async () => {
      const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();
      const lines = await readJournal(journal);
      return lines
        .filter(({ event }) => event === 'header')
        .map(({ id, at, incarnation }) => ({ id, at: at - offsetMs, incarnation }));
    },
    close: async () => {
      await running.child.kill();
      rmSync(directory, { recursive: true, force: true });
    },
    abandon: () => {
      running.child.signal('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface JournalLine {
  readonly event: string;
  readonly at: number;
  readonly incarnation: string;
  readonly id: string;
}

/** Correct even while the child writes the file: ignores an unfinished last line. */
async function readJournal(path: string): Promise<JournalLine[]> {
  const text = await readFile(path, 'utf8');
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.flatMap((line) => {
    const [, event = '', at, incarnation = '', id = ''] = /^(\S+) (\S+) (\S+) (.*)$/.exec(line) ?? [];
    return event === '' ? [] : [{ event, at: Number(at), incarnation, id }];
  });
}
