import { setFlagsFromString } from 'node:v8';

// By default V8 lets a heap of 60 MB grow to 200 before it cleans up, so that memory swings by as much. Collecting
// earlier holds it flat and costs little, since nearly all garbage of a proxy dies young.
const HEAP_GROWTH = '--heap-growing-percent=40';

/** To be called before the heap grows. */
export function tuneHeap(): void {
  setFlagsFromString(HEAP_GROWTH);
}

/** Not process.exit, which waits for threads, and one may hang in a write that nobody reads. */
export function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}

let isGuarded = false;

/** For whoever watches. Work goes on where nobody does any more: a terminal or a pipe that is gone is no crash. */
export function standardError(): NodeJS.WriteStream {
  if (!isGuarded) {
    isGuarded = true;
    process.stderr.on('error', () => undefined);
  }
  return process.stderr;
}
