import { readdirSync, readFileSync } from 'node:fs';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { RequiredRole } from '../core/role.ts';

/** One file of the console, as the build made it. */
interface ConsoleFile {
  readonly type: string;
  /** The content by its `content-encoding`; `identity` is always there. */
  readonly encodings: ReadonlyMap<string, Buffer>;
  readonly role: RequiredRole;
  /** The name changes with the content, so browsers need not ask again. */
  readonly isLasting: boolean;
}

/** The files by the path at which they are answered. Empty if the console was not built. */
export type ConsoleFiles = ReadonlyMap<string, ConsoleFile>;

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
};
/** The files that are pages: where they are answered, and which role that needs. */
const PAGES: Readonly<Record<string, Pick<ConsoleFile, 'role'> & { readonly path: string }>> = {
  'index.html': { path: '/', role: 'public' },
  'runbook.html': { path: '/runbook', role: 'viewer' },
};
/** The best first. */
const COMPRESSED = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

/**
 * Reads all files of the console. They stay in memory: an upgrade replaces the files on the disk while this process
 * still answers its own page, whose scripts must fit.
 */
export function readConsole(folder: URL): ConsoleFiles {
  const names = namesIn(folder);
  const files = new Map<string, ConsoleFile>();
  for (const name of names) {
    const type = TYPES[name.split('.').at(-1) ?? ''];
    if (type === undefined) continue;
    const encodings = new Map<string, Buffer>();
    for (const [encoding, ending] of COMPRESSED)
      if (names.includes(name + ending))
        encodings.set(encoding, readFileSync(new URL(name + ending, folder)));
    encodings.set('identity', readFileSync(new URL(name, folder)));
    const page = PAGES[name];
    const { path = `/console/${name}`, role = 'public' } = page ?? {};
    files.set(path, { type, encodings, role, isLasting: page === undefined });
  }
  return files;
}

function namesIn(folder: URL): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

export interface Console {
  readonly files: ConsoleFiles;
  /** Where administrators of Web Dispatcher look for it. */
  readonly prefixes: readonly string[];
}

/** Answers the console at `/`, and its files at `/console/…`. The prefixes lead there. */
export function addConsole(server: FastifyInstance, { files, prefixes }: Console): void {
  const answer = (file: ConsoleFile) => (request: FastifyRequest, reply: FastifyReply) => {
    const encoding = encodingFor(file, request.headers['accept-encoding']);
    if (encoding !== 'identity') reply.header('content-encoding', encoding);
    return reply
      .type(file.type)
      .header('cache-control', file.isLasting ? 'public, max-age=31536000, immutable' : 'no-cache')
      .header('vary', 'accept-encoding')
      .send(file.encodings.get(encoding));
  };
  for (const [path, file] of files) server.get(path, { config: { role: file.role } }, answer(file));
  if (!files.has('/'))
    server.get('/', { config: { role: 'public' } }, (_, reply) =>
      reply.code(404).type('text/plain').send('the console is not built: run `npm run build`\n'),
    );
  const leading = new Set(prefixes.flatMap((prefix) => [prefix, `${prefix}/`]));
  // Not as routes: the option may name a path that has an answer of its own, and characters that mean more to a router.
  server.addHook('onRequest', async (request, reply) => {
    const [path = ''] = request.originalUrl.split('?', 1);
    return request.is404 && leading.has(path) ? reply.redirect('/', 302) : undefined;
  });
}

/** The best encoding that the client accepts (RFC 9110 §12.5.3), without weights: a client refuses one with `;q=0`. */
function encodingFor(file: ConsoleFile, accepts: string | undefined): string {
  const accepted = new Set(
    (accepts ?? '')
      .split(',')
      .map((part) => part.trim().toLowerCase())
      .filter((part) => !/;\s*q=0(\.0*)?$/.test(part))
      .map((part) => part.split(';', 1)[0]?.trim()),
  );
  for (const encoding of file.encodings.keys()) if (accepted.has(encoding)) return encoding;
  return 'identity';
}
