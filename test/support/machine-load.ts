import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

/** What a run of tests saw of the machine. */
export interface MachineLoad {
  /** Of the time of all cores, what others than this run used; `undefined` where Linux does not tell. */
  readonly others?: number;
  /** Of the time of all cores, the idle share. */
  readonly idle?: number;
  /** How many of the timers of a thread that does nothing else were late, of all. */
  readonly lateTimers: number;
  /** The latest of them. */
  readonly latestMs: number;
}

/** Others that take this much, where nothing is left over, take it from the tests. */
const OTHERS_AT_MOST = 0.25;
const IDLE_AT_LEAST = 0.1;
/** The suite itself makes some timers late; time limits in tests bear that. */
const LATE_AT_MOST = 0.02;
const LATE_MS = 50;
const EVERY_MS = 20;

/** Why failures of time limits say little about the code, or `undefined` where they do. */
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
    // A thread of its own, since the one of the test runner is busy by itself.
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
    // Children count once they have ended, as those of the test runner have by then.
    const own = after.own - this.#before.own;
    if (all === 0) return { lateTimers, latestMs };
    return { others: Math.max(0, all - idle - own) / all, idle: idle / all, lateTimers, latestMs };
  }
}

/** In ticks of the kernel, since it started: of all cores, and of this process with the children that ended (proc(5)). */
function readTimes(): { readonly all: number; readonly idle: number; readonly own: number } | undefined {
  try {
    const cores = /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1]?.split(' ').map(Number) ?? [];
    // The last two, of guests, are part of the first two.
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
