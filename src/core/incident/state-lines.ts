/**
 * Lines of the log that say how the state of a gateway changed. An incident archive finds them by these words, so log
 * and archive take them from here.
 */
export const STATE_LINES = {
  storeAway: 'affinity store away',
  storeAvailable: 'affinity store available',
  storeRenewed: 'the store may have lost data: bindings are written back',
  cutOff: 'instances cannot be reached from here, although other gateways reach them: not ready',
  reached: 'this gateway reaches all instances again that other gateways reach',
  claimsFail: 'claims fail here, although the view store answers: not ready',
  claimsWork: 'claims are answered again, or the whole store is away',
  withheld: 'health report withheld',
  sentAgain: 'health report sent again',
  probesFail: 'probes find an instance down',
  gatewayGone: 'a gateway is gone: it has left, or its lease has ended',
  gatewayCame: 'a gateway takes part',
} as const;

/** A line of this gateway's log. */
export interface KeptLine {
  /** Milliseconds since the Unix epoch; the first time, if the line was repeated. */
  readonly at: number;
  readonly level: 'info' | 'warn' | 'error';
  readonly msg: string;
  /** Such as `pool`, `instance` and `reason`. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** How often it came in a row, and the last time; missing if it came once. */
  readonly times?: number;
  readonly lastAt?: number;
}
