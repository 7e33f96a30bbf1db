import type { View } from './view.ts';

/** What may be done with the newest view while replicas have yet to acknowledge it. */
export class ViewEffect {
  /** The view still in effect. Only what both views allow may be done. */
  before: View | undefined;
  /** This replica does not know any view that is in effect. */
  isBlocked = true;
  /** The newest view is in effect. */
  isEffective = false;

  /** @param before the view in effect until now, if it is known for certain */
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
