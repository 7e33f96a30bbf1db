import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

/** The state of the machine during a test run. */
export interface MachineLoad {
  /** The share of all cores that other programs used; `undefined` if Linux does not report it. */
  readonly others?: number;
  /** The idle share of all cores. */
  readonly idle?: number;
  /** The share of late timers, in a thread that does nothing else. */
  readonly lateTimers: number;
  /** The longest delay of a timer. */
  readonly latestMs: number;
}

/** Other programs that use this share of a fully used machine slow down the tests. */
const OTHERS_AT_MOST = 0.25;
const IDLE_AT_LEAST = 0.1;
/** The suite itself delays some timers; the time limits in tests allow for that. */
const LATE_AT_MOST = 0.02;
const LATE_MS = 50;
const EVERY_MS = 20;

/** Why failures of time limits say little about the code; `undefined` if they are meaningful. */
export function whyTooBusy({ others = 0, idle = 1, lateTimers, latestMs }: MachineLoad): string | undefined {
  const reasons: string[] = [];
  if (others > OTHERS_AT_MOST && idle < IDLE_AT_LEAST)
    reasons.push(
      `other programs used ${percent(others)} of its processor time, and ${percent(idle)} was left`,
    );
  if (lateTimers > LATE_AT_MOST)
    reasons.push(
      `${percent(lateTimers)} of timers were over ${LATE_MS} ms late, one by ${Math.round(latestMs)} ms`,
    );
  if (reasons.length === 0) return undefined;
  return `this machine was too busy to judge by: ${reasons.join('; ')}. A test that failed by a time limit may pass on an idle machine.`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

export class MachineWatch {
  readonly #before = readTimes();
  readonly #timers = new Float64Array(new SharedArrayBuffer(3 * 8));
  readonly #thread: Worker;

  constructor() {
    // A separate thread, because that of the test runner is busy.
    this.#thread = new Worker(
      `const { workerData } = require('node:worker_threads');
       let due = performance.now() + ${EVERY_MS};
       const tick = () => {
         const late = performance.now() - due;
         workerData[0] += 1;
         if (late > ${LATE_MS}) workerData[1] += 1;
         if (late > workerData[2]) workerData[2] = late;
         due = performance.now() + ${EVERY_MS};
         setTimeout(tick, ${EVERY_MS});
       };
       setTimeout(tick, ${EVERY_MS});`,
      { eval: true, workerData: this.#timers },
    );
    this.#thread.unref();
  }

  read(): MachineLoad {
    const [timers = 0, late = 0, latestMs = 0] = this.#timers;
    const lateTimers = timers === 0 ? 0 : late / timers;
    const after = readTimes();
    if (this.#before === undefined || after === undefined) return { lateTimers, latestMs };
    const all = after.all - this.#before.all;
    const idle = after.idle - this.#before.idle;
    // Linux counts children once they have ended, which those of the test runner have by then.
    const own = after.own - this.#before.own;
    if (all === 0) return { lateTimers, latestMs };
    return { others: Math.max(0, all - idle - own) / all, idle: idle / all, lateTimers, latestMs };
  }
}

/** In kernel ticks since its start: for all cores, and for this process with its ended children (proc(5)). */
function readTimes(): { readonly all: number; readonly idle: number; readonly own: number } | undefined {
  try {
    const cores = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]?.split(' ').map(Number) ?? [];
    // The last two values, for guests, are part of the first two.
    const all = cores.slice(0, 8).reduce((sum, ticks) => sum + ticks, 0);
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const own = fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0);
    return { all, idle: (cores[3] ?? 0) + (cores[4] ?? 0), own };
  } catch {
    return undefined;
  }
}
