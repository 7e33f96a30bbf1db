import type { Config } from '../config/schema.ts';
import { ClockWatch } from '../coordination/clock-watch.ts';

/** A process that stood still, or whose clock jumped, has no opinion until it has measured again. */
export function watchClock(
  { pools }: Config,
  onChange: (isTrustworthy: boolean, reason: string) => void,
): ClockWatch {
  return new ClockWatch({
    lagMs: Math.min(...pools.map(({ health }) => health.timeout)) / 2,
    calmMs: Math.max(...pools.map(({ health }) => health.fastInterval)) * 2,
    onChange,
  });
}
