import { secondBefore } from '../core/history/pool-counts.ts';

/**
 * Calls back at the end of each second of the host's clock, so that the processes of a host count the same seconds.
 *
 * @returns a function that ends it
 */
export function everySecond(onEnd: (second: number) => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (): void => {
    const next = (secondBefore(Date.now()) + 2) * 1_000;
    timer = setTimeout(() => {
      onEnd(secondBefore(Date.now()));
      wait();
    }, next - Date.now());
  };
  wait();
  return () => clearTimeout(timer);
}
