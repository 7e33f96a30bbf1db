import { getHeapStatistics, setFlagsFromString } from 'node:v8';

// By default V8 lets a heap of 60 MB grow to 200 MB before a full collection, so memory use swings by as much.
// Collecting earlier keeps it flat and costs little, because nearly all garbage of a proxy is short-lived.
const GROWTH_PERCENT = 40;
// The bytes of bodies that pass count as growth too, although they are outside of the heap. A full collection after each
// 11 MB of them, which are 40 % of a usual heap, takes twice the processor time of passing them on.
const BYTES_OF_STREAMS = 64 * 1_024 * 1_024;

let isTuned = false;

/** Call this before the heap grows. */
export function tuneHeap(): void {
  isTuned = true;
  growBy(GROWTH_PERCENT);
}

/** Bodies pass through this process, or do no longer. Does nothing unless the heap is tuned. */
export function tuneForStreams(areBusy: boolean): void {
  if (!isTuned) return;
  const needed = areBusy ? Math.ceil((100 * BYTES_OF_STREAMS) / getHeapStatistics().used_heap_size) : 0;
  growBy(Math.max(GROWTH_PERCENT, needed));
}

/** V8 applies it after its next full collection. */
function growBy(percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
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
