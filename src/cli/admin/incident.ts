import { existsSync, linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Command } from 'commander';
import { askFile } from './client.ts';
import type { AdminContext, ReadFlags } from './context.ts';
import { readCommand } from './context.ts';
import { counted, printable, show } from './present.ts';

interface IncidentFlags extends ReadFlags {
  readonly last: string;
  readonly output: string;
  readonly names?: boolean;
  readonly force?: boolean;
}

const READABLE_BY_OWNER = 0o600;
const PROGRESS_MS = 1_000;
const EXIT_INTERRUPTED = 130;
// What the gateway puts into an archive, before it is compressed.
const MOST_BYTES = 64 * 1_024 * 1_024;
const FIRST_PAGE = 'README.txt';

export function addIncident(admin: Command, context: AdminContext): void {
  readCommand(
    admin,
    'incident',
    'Write an archive for an analysis of what went wrong: state, views, events, metrics, masked configuration. No secrets, and no names unless asked for.',
  )
    .requiredOption(
      '-o, --output <file>',
      'the file to write, such as incident.tar.gz; only its owner can read it',
    )
    .option('--last <duration>', 'the period until now, of at most 24h', '15m')
    .option('--names', 'leave names of agents and operators readable')
    .option('--force', 'replace the file if it exists')
    .action(async ({ last, output: file, names = false, force = false, ...flags }: IncidentFlags) => {
      const { env, output, exitWith } = context;
      if (!force && existsSync(file)) throw alreadyThere(file);
      const interrupted = new AbortController();
      // Also ends the process only after a write, so that no half of a file is left.
      const onSignal = (): void => interrupted.abort();
      process.once('SIGINT', onSignal);
      const startedAt = performance.now();
      const timer = setInterval(() => {
        const seconds = Math.round((performance.now() - startedAt) / 1_000);
        output.err(`the gateway gathers what it knows … ${seconds} s\n`);
      }, PROGRESS_MS);
      try {
        const query = { last, names: names ? 'readable' : 'hashed' };
        const archive = await askFile(flags, { path: '/incident', query, signal: interrupted.signal }, env);
        const { page, files } = await contentOf(archive);
        interrupted.signal.throwIfAborted();
        writeWhole(file, archive, force);
        show(output, flags, { file, bytes: archive.length, files }, () =>
          [
            printable(faultIn(page)),
            `${file}: ${counted(archive.length, 'byte')}, ${counted(files.length, 'file')}`,
          ].join('\n'),
        );
      } catch (error) {
        if (!interrupted.signal.aborted) throw error;
        output.err('stopped; nothing was written\n');
        exitWith(EXIT_INTERRUPTED);
      } finally {
        clearInterval(timer);
        process.off('SIGINT', onSignal);
      }
    });
}

/** Throws if the archive is not whole. */
async function contentOf(
  archive: Buffer,
): Promise<{ readonly page: string; readonly files: readonly string[] }> {
  const { unpackTar } = await import('modern-tar');
  const entries = await unpackTar(gunzipSync(archive, { maxOutputLength: MOST_BYTES }));
  const page = entries.find(({ header }) => header.name === FIRST_PAGE)?.data;
  if (page === undefined) throw new Error(`the gateway sent an archive without ${FIRST_PAGE}`);
  return { page: new TextDecoder().decode(page), files: entries.map(({ header }) => header.name) };
}

function faultIn(page: string): string {
  return page.split('\n').find((line) => line.startsWith('THE FAULT')) ?? '';
}

/** The file appears with all its content or not at all. */
function writeWhole(file: string, content: Buffer, force: boolean): void {
  const draft = `${file}.${process.pid}.part`;
  try {
    writeFileSync(draft, content, { mode: READABLE_BY_OWNER, flag: 'wx' });
    if (force) renameSync(draft, file);
    else appear(draft, file);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? alreadyThere(file) : error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function appear(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (error) {
    // A file system without hard links.
    if (existsSync(file)) throw error;
    renameSync(draft, file);
  }
}

function alreadyThere(file: string): Error {
  return new Error(`${file} exists already; name another file, or give --force to replace it`);
}
