// Enough for several hundred MB a second. What arrives at once from one instance is 64 KB at most.
const EACH_TURN_BYTES = 256 * 1_024;
const RESUMED_EACH_TURN = 4;

/**
 * Lets streamed answers pass on a bounded number of bytes in each turn of the event loop. So short requests, which need
 * several turns each, do not wait for all streams in each of them.
 */
export class StreamPacer {
  #passed = 0;
  #isInTurn = false;
  readonly #waiting: (() => void)[] = [];

  /** Returns false if the stream has to pause. Then `resume` is called in a later turn. */
  pass(bytes: number, resume: () => void): boolean {
    this.#passed += bytes;
    this.#awaitTurn();
    if (this.#passed <= EACH_TURN_BYTES) return true;
    this.#waiting.push(resume);
    return false;
  }

  #awaitTurn(): void {
    if (this.#isInTurn) return;
    this.#isInTurn = true;
    setImmediate(() => this.#beginTurn());
  }

  #beginTurn(): void {
    this.#isInTurn = false;
    this.#passed = 0;
    for (const resume of this.#waiting.splice(0, RESUMED_EACH_TURN)) resume();
    if (this.#waiting.length > 0) this.#awaitTurn();
  }
}
