/**
 * How far this process's monotonic clock lags behind that of the host, in ms:
 * what the processes of a host say about time they say by the host's clock.
 *
 * `performance.now()` starts with each process; `process.hrtime` has one origin
 * for all of them.
 */
export const HOST_CLOCK_OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();
