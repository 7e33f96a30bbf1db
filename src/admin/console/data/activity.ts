import { loadSession } from './session.ts';

const NOTED_EVERY_MS = 30_000;

/**
 * A session lasts for some time after the last action of its user; a page that only polls does not prolong it. So the
 * gateway is told when the user does something, at most twice a minute.
 */
export function noteActions(): void {
  let notedAt = Date.now();
  const note = (): void => {
    const now = Date.now();
    if (now - notedAt < NOTED_EVERY_MS) return;
    notedAt = now;
    void loadSession();
  };
  for (const kind of ['pointerdown', 'keydown'] as const) addEventListener(kind, note, { passive: true });
}
