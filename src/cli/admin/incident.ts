import { accessSync, constants, existsSync, linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
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
/** By shell convention: 128 plus the number of the signal. */
const EXITS = { SIGINT: 130, SIGTERM: 143 } as const;
type Ended = keyof typeof EXITS;
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
      requireFolder(file);
      const interrupted = new AbortController();
      let exitCode = 0;
      // Not once: a second signal during the write would end the process, and leave half of a file.
      const onSignal = (signal: Ended): void => {
        exitCode = EXITS[signal];
        interrupted.abort();
      };
      for (const signal of Object.keys(EXITS)) process.on(signal, onSignal);
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
        exitWith(exitCode);
      } finally {
        clearInterval(timer);
        for (const signal of Object.keys(EXITS)) process.off(signal, onSignal);
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
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? alreadyThere(file) : notWritten(file, error);
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

/** Says so before the gateway makes an archive for nothing. */
function requireFolder(file: string): void {
  try {
    accessSync(dirname(file), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritten(file, error);
  }
}

const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

function notWritten(file: string, error: unknown): Error {
  const { code = 'error', message } = error as NodeJS.ErrnoException;
  const remedy = NO_ROOM.has(code)
    ? 'make room there, or name a file on another disk'
    : 'name a file in a folder that exists and that you may write to';
  // The rest of the message names the draft.
  const [why = message] = message.split(',');
  return new Error(`${file} cannot be written (${why}): ${remedy}`, { cause: error });
}

function alreadyThere(file: string): Error {
  return new Error(`${file} exists already; name another file, or give --force to replace it`);
}
