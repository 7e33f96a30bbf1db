import { Store } from './store.ts';

/** What screen readers speak: changes only, never what was there when the page opened. */
export const spoken = new Store<{ readonly text: string; readonly isUrgent: boolean }>({
  text: '',
  isUrgent: false,
});

export function speak(text: string, isUrgent = false): void {
  spoken.set({ text, isUrgent });
}
