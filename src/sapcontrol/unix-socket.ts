import { chmod, lstat, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';

/** A server of Node or of Fastify. */
interface Listening {
  listen(options: { readonly path: string }): Promise<unknown>;
}

/**
 * Listens on a Unix socket that only its owner can open, and returns a function that
 * removes it. The socket is bound in a private directory and moved to its place after
 * its mode is set, so other users can never open it. It replaces a socket that a dead
 * process left; it refuses if a process still listens there or the file is no socket.
 */
export async function listenAtPath(server: Listening, path: string): Promise<() => Promise<void>> {
  await refuseOccupied(path);
  const folder = await mkdtemp(`${path}.`).catch((error: Error) => {
    throw new Error(`sapcontrol.socket: ${path} cannot be created: ${error.message}; give another path`, {
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
    // The file may already belong to the gateway that takes over.
    if ((await inodeOf(path)) === ino) await rm(path, { force: true });
  };
}

async function refuseOccupied(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new Error(`sapcontrol.socket: ${path} exists and is not a socket; remove it or give another path`);
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
    // The socket of another user may be in use too.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => end(code === 'EACCES' || code === 'EAGAIN'));
  });
}
