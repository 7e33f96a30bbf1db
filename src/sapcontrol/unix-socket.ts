import { chmod, lstat, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

/** What listens: a server of Node, or of Fastify. */
interface Listening {
  listen(options: { readonly path: string }): Promise<unknown>;
}

/**
 * Listens on a Unix socket that only its owner can open, and returns what removes
 * it. The socket is bound in a folder that nobody else can enter and moved to its
 * place once its mode is set, so at no moment can it be opened by others. What a
 * dead process left there is replaced; what listens still, or is no socket, is not.
 */
export async function listenAtPath(server: Listening, path: string): Promise<() => Promise<void>> {
  await refuseOccupied(path);
  const folder = await mkdtemp(`${path}.`).catch((error: Error) => {
    throw new Error(`sapcontrol.socket: ${path} cannot be made: ${error.message}; give another path`, {
      cause: error,
    });
  });
  try {
    const bound = join(folder, 's');
    await server.listen({ path: bound });
    await chmod(bound, 0o600);
    await rename(bound, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const { ino } = await lstat(path);
  return async () => {
    // By now it may be that of the gateway that takes over.
    if ((await inodeOf(path)) === ino) await rm(path, { force: true });
  };
}

async function refuseOccupied(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new Error(`sapcontrol.socket: ${path} is there and is no socket; remove it or give another path`);
  if (await isAnswered(path))
    throw new Error(
      `sapcontrol.socket: another process listens on ${path}; stop it, or give another instanceNumber or socket`,
    );
}

async function inodeOf(path: string): Promise<number | undefined> {
  return (await lstat(path).catch(() => undefined))?.ino;
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => end(true));
    // A socket that somebody else owns may be in use, too.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => end(code === 'EACCES' || code === 'EAGAIN'));
  });
}
