import { constants, fstatSync, openSync, write, writeSync } from 'node:fs';

// A process that is killed loses the lines of this time.
const FLUSH_MS = 20;
// Several processes write to one output, and a line must not begin inside the line of another process. Linux keeps a
// write together if it goes to a file, to the socket of a service manager (up to some 32 KB), or to a pipe (PIPE_BUF).
const FILE_BLOCK_BYTES = 64 * 1_024;
const SOCKET_BLOCK_BYTES = 16 * 1_024;
const BLOCK_BYTES = 4_096;
// Half of what a pipe holds, so that its reader is woken seldom and has room to be late.
const PIPE_SENT_BYTES = 32 * 1_024;
// While no process reads them, lines are kept up to this limit. Further ones are dropped to save memory.
const MOST_PENDING_BYTES = 16 * 1_024 * 1_024;
// Checks are counted, not time: a pause of this process does not mean that the reader is gone.
const STUCK_MS = 500;
const STUCK_CHECKS = STUCK_MS / FLUSH_MS;
// What a unit of a string takes at most in UTF-8.
const UNIT_BYTES = 3;

/** Lines that are written together. */
interface Block {
  readonly bytes: Buffer;
  /** What stands before it was written already. */
  start: number;
  end: number;
}

/**
 * Writes lines to a file descriptor without ever waiting for a reader: in large blocks, because each write that a thread
 * makes takes more processor time than to put ten lines together. What could not be written is tried again later, but
 * not after a broken pipe.
 */
export class LogOutput {
  readonly #fd: number;
  readonly #blockBytes: number;
  /** Leads to the same pipe, but fails where a write would wait, so that no thread is needed for it. */
  readonly #direct: number | undefined;
  /** Complete ones, the oldest first. */
  readonly #blocks: Block[] = [];
  #last: Block;
  /** Of a block that was written. */
  #spare: Buffer | undefined;
  /** In the complete blocks. */
  #bytes = 0;
  /** A thread writes the first block. */
  #isWriting = false;
  #hasFailed = false;
  #isBroken = false;
  /** How often in a row nothing was written of what waits. */
  #checks = 0;
  #timer: NodeJS.Timeout | undefined;
  #onWritten: () => void = () => {};

  constructor(fd: number) {
    this.#fd = fd;
    const kind = fstatSync(fd);
    this.#blockBytes = kind.isFile() ? FILE_BLOCK_BYTES : kind.isSocket() ? SOCKET_BLOCK_BYTES : BLOCK_BYTES;
    this.#direct = kind.isFIFO() ? openDirectly(fd) : undefined;
    this.#last = this.#newBlock(this.#blockBytes);
  }

  /** No process has read any of the waiting lines for {@link STUCK_MS}. */
  get isStuck(): boolean {
    return this.#checks >= STUCK_CHECKS;
  }

  write(line: string): void {
    if (this.#isBroken || this.#bytes > MOST_PENDING_BYTES) return;
    this.#timer ??= setTimeout(() => this.#check(), FLUSH_MS).unref();
    let block = this.#last;
    const room = block.bytes.length - block.end;
    if (room < line.length * UNIT_BYTES) {
      const bytes = Buffer.byteLength(line);
      if (room < bytes) block = this.#nextBlock(Math.max(bytes, this.#blockBytes));
    }
    block.end += block.bytes.write(line, block.end);
  }

  flush(): void {
    this.#send();
    // Otherwise, what follows may fill it.
    if (this.#blocks.length > 0) return;
    this.#completeLast();
    this.#send();
  }

  /** {@link flush} that waits for the reader, for a process that crashes. Throws if that fails. */
  flushSync(): void {
    this.#completeLast();
    for (const { bytes, start, end } of this.#blocks.slice(this.#isWriting ? 1 : 0)) {
      for (let at = start; at < end; ) at += writeSync(this.#fd, bytes, at, end - at);
    }
  }

  /** Writes what waits. Resolves with false if a thread still waits for the reader after {@link STUCK_MS}. */
  close(): Promise<boolean> {
    this.#hasFailed = false;
    return new Promise((resolve) => {
      let checksLeft = STUCK_CHECKS;
      const look = (): void => {
        if (!this.#hasFailed) this.flush();
        const isOver = !this.#isWriting && (this.#isEmpty || this.#hasFailed);
        if (!isOver && checksLeft > 0) return;
        clearInterval(timer);
        this.#onWritten = () => {};
        resolve(!this.#isWriting);
      };
      const timer = setInterval(() => {
        checksLeft -= 1;
        look();
      }, FLUSH_MS);
      this.#onWritten = look;
      look();
    });
  }

  get #isEmpty(): boolean {
    return this.#blocks.length === 0 && this.#last.end === 0;
  }

  #check(): void {
    this.#timer = undefined;
    if (this.#isEmpty || this.#isBroken) return;
    this.#checks += 1;
    this.flush();
    if (!this.#isEmpty) this.#timer ??= setTimeout(() => this.#check(), FLUSH_MS).unref();
  }

  /** Begins a block, and sends what has come together before it. */
  #nextBlock(bytes: number): Block {
    this.#completeLast(bytes);
    if (this.#bytes >= (this.#direct === undefined ? 0 : PIPE_SENT_BYTES)) this.#send();
    return this.#last;
  }

  #completeLast(bytesOfNext = this.#blockBytes): void {
    if (this.#last.end > 0) {
      this.#blocks.push(this.#last);
      this.#bytes += this.#last.end;
    } else if (this.#last.bytes.length >= bytesOfNext) return;
    this.#last = this.#newBlock(bytesOfNext);
  }

  #newBlock(size: number): Block {
    const spare = this.#spare;
    if (spare === undefined || spare.length < size)
      return { bytes: Buffer.allocUnsafeSlow(size), start: 0, end: 0 };
    this.#spare = undefined;
    return { bytes: spare, start: 0, end: 0 };
  }

  /** Writes complete blocks, directly or by a thread. */
  #send(): void {
    let block = this.#blocks[0];
    while (block !== undefined && !this.#isWriting) {
      const { bytes, start, end } = block;
      this.#hasFailed = false;
      if (this.#direct === undefined) {
        this.#isWriting = true;
        write(this.#fd, bytes, start, end - start, null, (error, written) => {
          this.#isWriting = false;
          if (error !== null) this.#fail(error);
          else {
            this.#pass(written);
            this.#send();
          }
          if (error === null || this.#hasFailed) this.#onWritten();
        });
        return;
      }
      try {
        this.#pass(writeSync(this.#direct, bytes, start, end - start));
      } catch (error) {
        this.#fail(error as NodeJS.ErrnoException);
        return;
      }
      block = this.#blocks[0];
    }
  }

  /** So much of the first block was written. */
  #pass(written: number): void {
    const block = this.#blocks[0] as Block;
    block.start += written;
    this.#bytes -= written;
    this.#checks = 0;
    if (block.start < block.end) return;
    this.#blocks.shift();
    if (block.bytes.length === this.#blockBytes) this.#spare = block.bytes;
  }

  /** A reader that is only late counts as stuck, but not a full disk. */
  #fail({ code }: NodeJS.ErrnoException): void {
    if (code === 'EAGAIN') return;
    this.#hasFailed = true;
    this.#checks = 0;
    if (code !== 'EPIPE') return;
    this.#isBroken = true;
    this.#blocks.length = 0;
    this.#bytes = 0;
    this.#last.end = 0;
  }
}

/** Not possible if the pipe belongs to another user, or without `/proc`. */
function openDirectly(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
}
