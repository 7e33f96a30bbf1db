import type { Stats } from 'node:fs';
import { chmod, lstat, mkdtemp, rename, rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { connect } from 'node:net';
import { join } from 'node:path';
import { listenOn } from '../sockets/listen.ts';

/**
 * A Unix socket that only its owner can open. It is bound in a private directory and moved to its place after its mode
 * is set, so other users can never open it. It replaces a socket that a dead process left, and never a socket that is
 * answered, or another file.
 */
export class UnixSocket {
  readonly #server: Server;
  readonly #path: string;
  /** Of our own file; `undefined` before there was one. */
  #inode: number | undefined;

  constructor(server: Server, path: string) {
    this.#server = server;
    this.#path = path;
  }

  /** Has our own file been removed, or replaced? */
  async isLost(): Promise<boolean> {
    return this.#inode !== undefined && (await fileAt(this.#path))?.ino !== this.#inode;
  }

  /**
   * Listens, also if the file of an earlier call is gone.
   *
   * @throws an error that names the file, its owner and the remedy
   */
  async open(): Promise<void> {
    await this.#refuseOccupied();
    const folder = await mkdtemp(`${this.#path}.`).catch((cause) => {
      throw this.#cannotBeCreated(cause);
    });
    try {
      const bound = join(folder, 's');
      // A server listens at one path only.
      this.#stop();
      await listenOn(this.#server, { path: bound });
      await chmod(bound, 0o600);
      this.#inode = (await lstat(bound)).ino;
      await rename(bound, this.#path);
    } catch (cause) {
      this.#stop();
      throw this.#cannotBeCreated(cause);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Removes the file, unless it already belongs to the gateway that takes over. */
  async remove(): Promise<void> {
    const found = await fileAt(this.#path);
    if (found !== undefined && found.ino === this.#inode) await rm(this.#path, { force: true });
  }

  /** Requests on open connections are still answered. */
  #stop(): void {
    if (this.#server.listening) this.#server.close();
  }

  #cannotBeCreated(cause: unknown): Error {
    return new Error(
      `sapcontrol.socket: ${this.#path} cannot be created: ${(cause as Error).message}; remove what is there, or give another path`,
      { cause },
    );
  }

  async #refuseOccupied(): Promise<void> {
    const path = this.#path;
    const found = await fileAt(path);
    if (found === undefined) return;
    if (!found.isSocket())
      throw new Error(
        `sapcontrol.socket: ${path} exists and is not a socket (it belongs to uid ${found.uid}); remove it, or give another path`,
      );
    if (found.ino !== this.#inode && (await isAnswered(path)))
      throw new Error(
        `sapcontrol.socket: another process listens on ${path} (the socket belongs to uid ${found.uid}); stop it, or give another instanceNumber or socket`,
      );
  }
}

async function fileAt(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(() => undefined);
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
