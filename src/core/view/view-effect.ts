import type { View } from './view.ts';

/** What of the newest view may be acted on, while it waits for all replicas to acknowledge it. */
export class ViewEffect {
  /** The view that is still in effect. What both allow may be done. */
  before: View | undefined;
  /** No view that is known here is in effect. */
  isBlocked = true;
  /** The newest view is in effect. */
  isEffective = false;

  /** @param before the view that was in effect until then, where that is known for sure */
  wait(before: View | undefined): void {
    this.before = before;
    this.isBlocked = before === undefined;
    this.isEffective = false;
  }

  block(): void {
    this.wait(undefined);
  }

  take(): void {
    this.before = undefined;
    this.isBlocked = false;
    this.isEffective = true;
  }
}
