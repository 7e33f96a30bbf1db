/** What to do about each error of a disk. The others are none of the disk. */
const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'make room on its file system'],
  ['EDQUOT', 'make room, or raise the quota of the user that the gateway runs as'],
  ['EROFS', 'mount its file system writable'],
  ['EIO', 'look for errors of the disk in the log of the kernel'],
  ['EACCES', 'let the user that the gateway runs as write there'],
  ['EPERM', 'let the user that the gateway runs as write there'],
]);

/** That what is named cannot be written, and what helps; `undefined` where the disk is not the reason. */
export function explainDiskError(what: string, error: unknown): string | undefined {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const remedy = REMEDIES.get(code);
  return remedy && `${what} cannot be written (${message}): ${remedy}`;
}
