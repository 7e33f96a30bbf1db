/**
 * How far this process's monotonic clock lags behind the host's, in ms. The processes
 * of a host exchange times by the host's clock.
 *
 * `performance.now()` starts at zero in each process; `process.hrtime` has one origin
 * for all of them.
 */
export const HOST_CLOCK_OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();
