/**
 * Which changes of the options that name agents give no agent a second name: they only name requests that named no agent
 * before, or join two names of one agent. Such a change may take effect while other workers and gateways still run
 * without it.
 */

/** For the parts of the configuration that can be widened. */
const WIDENS: Readonly<Record<string, (before: unknown, after: unknown) => boolean>> = {
  'identity.userElements': (before, after) =>
    isAppended(before as readonly unknown[], after as readonly unknown[]),
  'identity.logon': (before, after) =>
    areMoreLogons(before as readonly unknown[], after as readonly unknown[]),
  'identity.userPattern': (before, after) => {
    const [was, is] = [before as UserPatterns, after as UserPatterns];
    return isWiderPattern(was.header, is.header) && isWiderPattern(was.body, is.body);
  },
};

interface UserPatterns {
  readonly header?: string;
  readonly body?: string;
}

/** Whether the part names all requests that it named before as before, and possibly more. */
export function widens(part: string, before: unknown, after: unknown): boolean {
  return WIDENS[part]?.(before, after) === true;
}

/** The first elements are the best, so elements behind them name only requests that have none of the others. */
export function isAppended(before: readonly unknown[], after: readonly unknown[]): boolean {
  return (
    after.length >= before.length &&
    before.every((rule, at) => JSON.stringify(rule) === JSON.stringify(after[at]))
  );
}

/**
 * A log-on links user and session to one binding. The first one in the list needs more: from then on no other operation
 * links them.
 */
export function areMoreLogons(before: readonly unknown[], after: readonly unknown[]): boolean {
  if (before.length === 0) return after.length === 0;
  const known = new Set(after.map((rule) => JSON.stringify(rule)));
  return before.every((rule) => known.has(JSON.stringify(rule)));
}

/**
 * Without a pattern every name matches. Whether one pattern matches all that another one does cannot be told in
 * general, but behind a `|` there are only more names.
 */
export function isWiderPattern(before: string | undefined, after: string | undefined): boolean {
  if (after === undefined || after === before) return true;
  return before !== undefined && after.startsWith(`${before}|`);
}

/** The form of a name of an element or operation for loose comparison. */
export function foldName(text: string): string {
  return text.replace(/[_-]/g, '').toLowerCase();
}
