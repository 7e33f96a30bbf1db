import { statSync } from 'node:fs';
import type { FileProblem } from '../core/group-file.ts';

// A file is looked at when it is needed, and at most this often.
const LOOK_EVERY_MS = 1_000;

/**
 * What a file says, read again after a change. While the file cannot be read or is not valid, the last good content
 * counts.
 */
export class WatchedFile<Content> {
  readonly #path: string;
  readonly #read: () => Content;
  readonly #onProblem: (error: Error) => void;
  readonly #onRepaired: () => void;
  #problem: FileProblem | undefined;
  #content: Content;
  #stamp: string;
  #lookedAt = performance.now();

  /**
   * @param read throws if the file is not valid; the first time that ends the constructor
   * @param onProblem is called once for each change after which the file is not valid
   * @param onRepaired is called when it is valid again
   */
  constructor(
    path: string,
    read: () => Content,
    onProblem: (error: Error) => void,
    onRepaired: () => void = () => {},
  ) {
    this.#path = path;
    this.#read = read;
    this.#onProblem = onProblem;
    this.#onRepaired = onRepaired;
    // First, so that a change during the read is found later.
    this.#stamp = stampOf(path);
    this.#content = read();
  }

  /** What is wrong with the file, as far as the last look at its content told. */
  get problem(): FileProblem | undefined {
    return this.#problem;
  }

  get content(): Content {
    const now = performance.now();
    if (now - this.#lookedAt < LOOK_EVERY_MS) return this.#content;
    this.#lookedAt = now;
    const stamp = stampOf(this.#path);
    if (stamp === this.#stamp) return this.#content;
    this.#stamp = stamp;
    try {
      this.#content = this.#read();
      if (this.#problem !== undefined) this.#onRepaired();
      this.#problem = undefined;
    } catch (error) {
      const { message: reason } = error as Error;
      this.#problem = { since: this.#problem?.since ?? Date.now(), reason };
      this.#onProblem(error as Error);
    }
    return this.#content;
  }
}

/** Changes with every change of the file; also if another file takes its place, as with a secret in Kubernetes. */
function stampOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino}:${size}:${mtimeMs}:${ctimeMs}`;
  } catch (error) {
    // The read will fail too, and says why.
    return (error as Error).message;
  }
}
