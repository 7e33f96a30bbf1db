/** Simulated time and its events. The same calls always give the same order. */
export class Scheduler {
  /** True time in ms; no participant ever sees it. */
  now = 0;
  /** The number of executed events. */
  steps = 0;
  #times: number[] = [];
  #orders: number[] = [];
  #runs: (() => void)[] = [];
  #count = 0;

  at(time: number, run: () => void): void {
    const order = this.#count;
    this.#count += 1;
    const when = time < this.now ? this.now : time;
    let i = this.#times.length;
    this.#times.push(when);
    this.#orders.push(order);
    this.#runs.push(run);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if ((this.#times[parent] as number) <= when) break;
      this.#set(i, parent);
      i = parent;
    }
    this.#times[i] = when;
    this.#orders[i] = order;
    this.#runs[i] = run;
  }

  after(delay: number, run: () => void): void {
    this.at(this.now + delay, run);
  }

  /** Executes the next event; returns false if there is none until `end`. */
  step(end: number): boolean {
    const time = this.#times[0];
    if (time === undefined || time > end) return false;
    const run = this.#runs[0] as () => void;
    this.#removeFirst();
    this.now = time;
    this.steps += 1;
    run();
    return true;
  }

  #removeFirst(): void {
    const time = this.#times.pop() as number;
    const order = this.#orders.pop() as number;
    const run = this.#runs.pop() as () => void;
    const size = this.#times.length;
    if (size === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isBefore(child + 1, child)) child += 1;
      const childTime = this.#times[child] as number;
      if (time < childTime || (time === childTime && order < (this.#orders[child] as number))) break;
      this.#set(i, child);
      i = child;
    }
    this.#times[i] = time;
    this.#orders[i] = order;
    this.#runs[i] = run;
  }

  #isBefore(a: number, b: number): boolean {
    const [timeA, timeB] = [this.#times[a] as number, this.#times[b] as number];
    return timeA < timeB || (timeA === timeB && (this.#orders[a] as number) < (this.#orders[b] as number));
  }

  #set(to: number, from: number): void {
    this.#times[to] = this.#times[from] as number;
    this.#orders[to] = this.#orders[from] as number;
    this.#runs[to] = this.#runs[from] as () => void;
  }
}
