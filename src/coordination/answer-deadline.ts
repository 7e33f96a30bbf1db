import { StoreUnavailable } from '../core/ports.ts';

export interface AnswerDeadlines<T> {
  /** After so many ms without an answer it is worth a doubt. */
  readonly doubtMs: number;
  /** After so many ms without an answer the next question may be asked. */
  readonly limitMs: number;
  /** @param wasLate the timer fired late: this process or its machine is slow, and the other side may not be */
  onDoubt(wasLate: boolean): void;
  /** The answer has come after the time for it. */
  onLate(answer: T): void;
}

// A timer that fires so late tells of a busy process or machine.
const LATE_TIMER_MS = 20;
// What setTimeout can take.
const LONGEST_MS = 2 ** 31 - 1;

/** Resolves to the answer. Rejects where it does not come within the limit, or not at all. */
export function answerWithin<T>(
  answer: Promise<T>,
  { doubtMs, limitMs, onDoubt, onLate }: AnswerDeadlines<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    // After a pause of this process timers run first: what has arrived meanwhile is read before the verdict.
    const begunAt = performance.now();
    const after = (ms: number, run: (wasLate: boolean) => void): NodeJS.Timeout =>
      setTimeout(
        () => {
          const wasLate = performance.now() - begunAt > ms + LATE_TIMER_MS;
          setImmediate(() => isOver || run(wasLate));
        },
        Math.min(ms, LONGEST_MS),
      );
    const doubt = after(doubtMs, onDoubt);
    const limit = after(limitMs, (wasLate) => {
      isOver = true;
      reject(new StoreUnavailable(`no answer within ${limitMs} ms`, undefined, { wasLate, answer }));
      answer.then(onLate, () => {
        // It failed in the end; nothing is learnt from that.
      });
    });
    const end = (): void => {
      isOver = true;
      clearTimeout(doubt);
      clearTimeout(limit);
    };
    answer.then(
      (value) => {
        if (!isOver) resolve(value);
        end();
      },
      (error: unknown) => {
        if (!isOver) reject(error);
        end();
      },
    );
  });
}
