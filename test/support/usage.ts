/** Thrown for a command line that makes no sense, with what to write instead. */
export class Usage extends Error {}

/** Whether the command line is to blame, also if `parseArgs` says so. */
export function isUsage(error: unknown): error is Error {
  return (
    error instanceof Usage || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true
  );
}
