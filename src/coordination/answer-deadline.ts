import { StoreUnavailable } from '../core/ports.ts';

export interface AnswerDeadlines<T> {
  /** The time without an answer after which the other side is in doubt, in ms. */
  readonly doubtMs: number;
  /** The time without an answer after which the caller may ask again, in ms. */
  readonly limitMs: number;
  /** @param wasLate the timer itself fired late, so perhaps only this process or its machine is slow */
  onDoubt(wasLate: boolean): void;
  /** The answer came after the limit. */
  onLate(answer: T): void;
}

// A timer that is this late means that the process or the machine is busy.
const LATE_TIMER_MS = 20;
// The longest delay that setTimeout takes.
const LONGEST_MS = 2 ** 31 - 1;

/** Resolves to the answer. Rejects if the answer fails or does not come within the limit. */
export function answerWithin<T>(
  answer: Promise<T>,
  { doubtMs, limitMs, onDoubt, onLate }: AnswerDeadlines<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    // After a pause of this process, timers run first. setImmediate lets an answer that has arrived be read before.
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
        // A late failure teaches nothing.
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
