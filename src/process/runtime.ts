import { setFlagsFromString } from 'node:v8';

// By default V8 lets a heap of 60 MB grow to 200 MB before a full collection, so memory use swings by as much.
// Collecting earlier keeps it flat and costs little, because nearly all garbage of a proxy is short-lived.
const HEAP_GROWTH = '--heap-growing-percent=40';

/** Call this before the heap grows. */
export function tuneHeap(): void {
  setFlagsFromString(HEAP_GROWTH);
}

let isGuarded = false;

/** Standard error. Ignores write errors, because a closed terminal or pipe must not crash the process. */
export function standardError(): NodeJS.WriteStream {
  if (!isGuarded) {
    isGuarded = true;
    process.stderr.on('error', () => undefined);
  }
  return process.stderr;
}
