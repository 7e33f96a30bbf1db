/** What to do about each disk error. Other errors do not come from the disk. */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'make room on its file system'],
  ['EDQUOT', 'make room, or raise the quota of the user that the gateway runs as'],
  ['EROFS', 'mount its file system writable'],
  ['EIO', 'look for errors of the disk in the log of the kernel'],
  ['EACCES', 'let the user that the gateway runs as read and write there'],
  ['EPERM', 'let the user that the gateway runs as read and write there'],
]);

/** Says that `what` cannot be written or used, and what helps; `undefined` if the disk is not the cause. */
export function explainDiskError(
  what: string,
  error: unknown,
  wanted: 'written' | 'used' = 'written',
): string | undefined {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const remedy = REMEDIES.get(code);
  return remedy && `${what} cannot be ${wanted} (${message}): ${remedy}`;
}
