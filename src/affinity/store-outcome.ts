import { StaleView, StoreFull } from '../core/ports.ts';

export type StoreOutcome = 'ok' | 'stale' | 'full' | 'unavailable';

/** Returns the same promise, and reports how the store operation ended and how long it took. */
export async function reportOutcome<T>(
  running: Promise<T>,
  tell: (outcome: StoreOutcome, seconds: number) => void,
): Promise<T> {
  const begunAt = performance.now();
  const end = (outcome: StoreOutcome): void => tell(outcome, (performance.now() - begunAt) / 1_000);
  try {
    const result = await running;
    end('ok');
    return result;
  } catch (error) {
    if (error instanceof StaleView) end('stale');
    else end(error instanceof StoreFull ? 'full' : 'unavailable');
    throw error;
  }
}
