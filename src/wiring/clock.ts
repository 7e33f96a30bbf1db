import type { Config } from '../config/schema.ts';
import { ClockWatch } from '../coordination/clock-watch.ts';

/**
 * After a pause of the process or a jump of its clock, the gateway withholds its health report until the clock is calm.
 */
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
