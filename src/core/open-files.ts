/** The error codes for: this process, or the system, has no file left. */
const OUT_OF_FILES: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE']);

export function isOutOfFiles(error: unknown): boolean {
  return error instanceof Error && OUT_OF_FILES.has((error as NodeJS.ErrnoException).code);
}

/** Files that a process opens beside those connections: listeners, channels, connections to Redis, probes, the log. */
const OWN = 100;
const MOST_ADMIN = 1_000;
/** Of all files, for connections to the admin port. */
const ADMIN_SHARE = 1 / 8;

export interface ConnectionLimits {
  /** Of clients. */
  readonly connections: number;
  /** Each request in progress may have a connection to an instance. */
  readonly inFlight: number;
}

/** The most connections to the admin port, for a process that may open so many files. */
export function adminConnectionsWithin(files: number): number {
  return Math.max(1, Math.min(MOST_ADMIN, Math.floor(files * ADMIN_SHARE)));
}

/** How many files a process that carries traffic opens at most. */
export function filesNeeded({ connections, inFlight }: ConnectionLimits, adminConnections: number): number {
  return OWN + adminConnections + connections + inFlight;
}

/**
 * How many connections clients may have in a process that may open so many files, if each request also needs one to an
 * instance. Above it, the kernel would refuse connections in silence, and requests would not reach their instances.
 */
export function connectionsWithin(
  files: number,
  { connections, inFlight }: ConnectionLimits,
  adminConnections: number,
): number {
  const room = files - OWN - adminConnections;
  return Math.max(1, Math.min(connections, Math.max(Math.floor(room / 2), room - inFlight)));
}
