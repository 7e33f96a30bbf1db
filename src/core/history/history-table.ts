interface Step {
  /** Its length. */
  readonly seconds: number;
  /** How many steps are kept. */
  readonly kept: number;
}

export const STEPS = {
  second: { seconds: 1, kept: 3_600 },
  minute: { seconds: 60, kept: 1_440 },
} as const satisfies Readonly<Record<string, Step>>;

export type StepName = keyof typeof STEPS;

/** A value of one second. */
export interface Cell {
  /** Of its column. */
  readonly name: string;
  readonly value: number;
  /** How the value of a minute follows from those of its seconds. */
  readonly merging: 'sum' | 'most' | 'last';
  /** The value of the minute so far, if it does not follow from those of its seconds. */
  readonly ofMinute?: number;
}

interface Column {
  readonly second: Float32Array;
  readonly minute: Float32Array;
  /** The last second in which it got a value. */
  usedAt: number;
}

/**
 * Values by second for an hour and by minute for a day, in memory of a fixed size. A step is at the row of its number,
 * modulo how many are kept. What is not known is not a number.
 *
 * Seconds are those since the Unix epoch.
 */
export class HistoryTable {
  readonly #rows = { second: new Rows(STEPS.second), minute: new Rows(STEPS.minute) };
  readonly #columns = new Map<string, Column>();

  /** The memory of its values. */
  get bytes(): number {
    const { second, minute } = this.#rows;
    let sum = second.bytes + minute.bytes;
    for (const column of this.#columns.values()) sum += column.second.byteLength + column.minute.byteLength;
    return sum;
  }

  get names(): readonly string[] {
    return [...this.#columns.keys()];
  }

  add(second: number, cells: readonly Cell[]): void {
    const rows = this.#rows;
    rows.second.add(second);
    const isNewMinute = rows.minute.add(second);
    if (isNewMinute) this.#dropUnused(second);
    const [row, minuteRow] = [rows.second.rowOf(second), rows.minute.rowOf(second)];
    for (const column of this.#columns.values()) {
      column.second[row] = Number.NaN;
      if (isNewMinute) column.minute[minuteRow] = Number.NaN;
    }
    for (const { name, value, merging, ofMinute = value } of cells) {
      const column = this.#column(name, second);
      column.usedAt = second;
      column.second[row] = value;
      const before = column.minute[minuteRow] as number;
      if (Number.isNaN(ofMinute)) continue;
      if (merging === 'last' || Number.isNaN(before)) column.minute[minuteRow] = ofMinute;
      else column.minute[minuteRow] = merging === 'sum' ? before + ofMinute : Math.max(before, ofMinute);
    }
  }

  /** How many seconds of the step are known; 0 for a gap. */
  known(step: StepName, second: number): number {
    return this.#rows[step].known(second);
  }

  /** @param second of a step that is known */
  value(name: string, step: StepName, second: number): number {
    return this.#columns.get(name)?.[step][this.#rows[step].rowOf(second)] ?? Number.NaN;
  }

  /** Forgets the steps that end after this second began. */
  forgetFrom(second: number): void {
    this.#rows.second.forgetFrom(second);
    this.#rows.minute.forgetFrom(second);
  }

  #column(name: string, second: number): Column {
    let column = this.#columns.get(name);
    if (column === undefined) {
      column = {
        second: new Float32Array(STEPS.second.kept).fill(Number.NaN),
        minute: new Float32Array(STEPS.minute.kept).fill(Number.NaN),
        usedAt: second,
      };
      this.#columns.set(name, column);
    }
    return column;
  }

  /** Columns of instances and errors that have not been seen for as long as anything is kept. */
  #dropUnused(second: number): void {
    const keptSeconds = STEPS.minute.seconds * STEPS.minute.kept;
    for (const [name, { usedAt }] of this.#columns)
      if (usedAt < second - keptSeconds) this.#columns.delete(name);
  }
}

class Rows {
  readonly #step: Step;
  /** The number of the step in each row. */
  readonly #numbers: Uint32Array;
  /** How many seconds of it are known. */
  readonly #known: Uint8Array;

  constructor(step: Step) {
    this.#step = step;
    this.#numbers = new Uint32Array(step.kept);
    this.#known = new Uint8Array(step.kept);
  }

  get bytes(): number {
    return this.#numbers.byteLength + this.#known.byteLength;
  }

  rowOf(second: number): number {
    return this.#number(second) % this.#step.kept;
  }

  add(second: number): boolean {
    const row = this.rowOf(second);
    const isNew = this.#numbers[row] !== this.#number(second);
    this.#numbers[row] = this.#number(second);
    this.#known[row] = isNew ? 1 : (this.#known[row] as number) + 1;
    return isNew;
  }

  known(second: number): number {
    const row = this.rowOf(second);
    return this.#numbers[row] === this.#number(second) ? (this.#known[row] as number) : 0;
  }

  forgetFrom(second: number): void {
    const first = this.#number(second);
    for (let row = 0; row < this.#numbers.length; row += 1)
      if ((this.#numbers[row] as number) >= first) this.#numbers[row] = 0;
  }

  #number(second: number): number {
    return Math.floor(second / this.#step.seconds);
  }
}
