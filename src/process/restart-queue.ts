import type { ChildRole } from './messages.ts';
import type { LiveProcess } from './process-registry.ts';

// Several times as long as a start takes. A process that hangs in its start must not keep the others away.
const PATIENCE_MS = 2_000;

/** Starts a process; undefined if it is not needed any more. */
export type Restart = () => LiveProcess | undefined;

/**
 * Lets the processes that replace dead ones start one after another, the controller first. To load its code a process
 * needs a whole core for a third of a second: several at once take the cores from the worker that already serves.
 */
export class RestartQueue {
  readonly #waiting: Restart[] = [];
  #starting: LiveProcess | undefined;

  /** Starts it now, or once the ones before are ready, have ended, or take too long. */
  add(role: ChildRole, restart: Restart): void {
    if (role === 'controller') this.#waiting.unshift(restart);
    else this.#waiting.push(restart);
    this.#startNext();
  }

  #startNext(): void {
    while (this.#starting === undefined) {
      const restart = this.#waiting.shift();
      if (restart === undefined) return;
      this.#starting = restart();
      if (this.#starting !== undefined) this.#awaitStart(this.#starting);
    }
  }

  #awaitStart(child: LiveProcess): void {
    const onOver = (): void => {
      clearTimeout(timer);
      if (this.#starting !== child) return;
      this.#starting = undefined;
      this.#startNext();
    };
    const timer = setTimeout(onOver, PATIENCE_MS);
    child.ready.then(onOver, onOver);
  }
}
