import type { FileHandle } from 'node:fs/promises';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { SnapshotRecord } from '../../core/snapshot/records.ts';
import { headerLine, recordLine } from '../../core/snapshot/records.ts';

/**
 * A file of bindings while this process writes it. It begins as a draft beside the file before; {@link commit} puts it
 * in place. Later lines are added at its end.
 */
export class BindingFile {
  readonly #path: string;
  readonly #draftPath: string;
  readonly #handle: FileHandle;
  #lines: string[] = [];
  #bytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #isCommitted = false;

  private constructor(path: string, draftPath: string, handle: FileHandle) {
    this.#path = path;
    this.#draftPath = draftPath;
    this.#handle = handle;
  }

  static async begin(
    path: string,
    header: { readonly pool: string; readonly keyPrefix: string },
  ): Promise<BindingFile> {
    const draftPath = `${path}.new`;
    const file = new BindingFile(path, draftPath, await open(draftPath, 'w', 0o600));
    file.#lines.push(headerLine(header));
    return file;
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  add(record: SnapshotRecord): void {
    this.#lines.push(recordLine(record));
  }

  /** Writes what was added. A file in place is on the disk when it resolves. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      if (this.#lines.length === 0) return;
      const text = this.#lines.join('');
      this.#lines = [];
      await this.#handle.appendFile(text);
      this.#bytes += Buffer.byteLength(text);
      if (this.#isCommitted) await this.#handle.datasync();
    });
    return this.#writing;
  }

  /** Puts the draft in the place of the file before: a crash leaves the one or the other, whole. */
  async commit(): Promise<void> {
    await this.flush();
    await this.#handle.sync();
    await rename(this.#draftPath, this.#path);
    await syncDirectory(dirname(this.#path));
    this.#isCommitted = true;
  }

  /** @throws the error of a write that failed */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#handle.close();
    }
  }

  /** Closes it and removes it from the disk, as far as that is possible. */
  async discard(): Promise<void> {
    this.#lines = [];
    await this.#writing.catch(() => undefined);
    await this.#handle.close().catch(() => undefined);
    await rm(this.#isCommitted ? this.#path : this.#draftPath, { force: true }).catch(() => undefined);
  }
}

/** The name of a file is on the disk only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
