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
  /** Where it listens; 127.0.0.1 by default. */
  readonly host?: string;
  /** Takes the place of `node dist/main.js`. */
  readonly program?: readonly string[];
}

/** A request whose header arrived. */
export interface Arrived {
  readonly id: string;
  /** On the clock of this process's `performance.now()`. */
  readonly at: number;
  /** The life of the connector. */
  readonly incarnation: string;
}

/** A simulated connector as a process of its own, so that its death is a real one. */
export interface ConnectorProcess {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  /** Of the present life, or the last one. */
  readonly pid: number;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: connections are still accepted, by the kernel, and nothing is answered. */
  stop(): void;
  /** SIGCONT, after {@link stop}. */
  cont(): void;
  /** A new life on the same port, after {@link kill} or instead of it. */
  restart(): Promise<void>;
  /** Everything that arrived, over all lives, also while it is dead. */
  deliveries(): Promise<DeliveryReport>;
  /** The same one by one, the earliest first. */
  arrivals(): Promise<Arrived[]>;
  /** Kills the process and removes its files. */
  close(): Promise<void>;
  /** The same without waiting, for when this process must end at once. */
  abandon(): void;
}

/** Tells the child where to write its deliveries. Not an option of the command, being of no use there. */
export const JOURNAL_VARIABLE = 'ICI_SIMULATOR_JOURNAL';

const READY_WITHIN_MS = 15_000;
/** One test's or one demo's worth. */
const MAX_DELIVERIES = 2_000_000;

/** The process ends itself when this one ends, however that happens. */
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

  let life: { child: Child; url: string };
  try {
    life = await start(options.port ?? 0);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  const { url } = life;
  const port = Number(new URL(url).port);
  return {
    name: options.name,
    url,
    port,
    get pid() {
      return life.child.pid;
    },
    kill: () => life.child.kill(),
    stop: () => life.child.signal('SIGSTOP'),
    cont: () => life.child.signal('SIGCONT'),
    restart: async () => {
      await life.child.kill();
      life = await start(port);
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
      await life.child.kill();
      rmSync(directory, { recursive: true, force: true });
    },
    abandon: () => {
      life.child.signal('SIGKILL');
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

/** Also right while it is being written: an unfinished last line is left out. */
async function readJournal(path: string): Promise<JournalLine[]> {
  const text = await readFile(path, 'utf8');
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.flatMap((line) => {
    const [, event = '', at, incarnation = '', id = ''] = /^(\S+) (\S+) (\S+) (.*)$/.exec(line) ?? [];
    return event === '' ? [] : [{ event, at: Number(at), incarnation, id }];
  });
}
