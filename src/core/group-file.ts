import type { Group } from './binding.ts';
import { canonicalUser } from './user-name.ts';

/** What a file of groups says: one line `user;group` for each user. */
export interface GroupFile {
  /** By the canonical name of the user. */
  readonly groups: ReadonlyMap<string, Group>;
  /** The problems by line. */
  readonly problems: readonly string[];
}

const GROUP_NAME_LIMIT = 64;
// Control and format characters, and halves of surrogate pairs.
const UNFIT = /\p{C}/u;
const MOST_LINES = 100_000;
const MOST_PROBLEMS = 10;

/** Why a file that has changed is not used; its last valid content counts. */
export interface FileProblem {
  /** In milliseconds since the Unix epoch. */
  readonly since: number;
  readonly reason: string;
}

/** Parses a file of groups. Empty lines and lines that start with `#` are ignored. */
export function parseGroupFile(text: string): GroupFile {
  const names = new Map<string, string>();
  const lineOf = new Map<string, number>();
  const problems: string[] = [];
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  if (lines.length > MOST_LINES)
    return { groups: new Map(), problems: [`has more than ${MOST_LINES} lines; name users by patterns`] };
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const parsed = parseLine(line);
    if (typeof parsed === 'string') {
      problems.push(`line ${index + 1} ${parsed}`);
      continue;
    }
    const before = lineOf.get(parsed.user);
    if (before !== undefined)
      problems.push(`line ${index + 1} is for ${parsed.user}, as is line ${before}; remove one of the two`);
    lineOf.set(parsed.user, index + 1);
    names.set(parsed.user, parsed.group);
  }
  if (names.size === 0 && problems.length === 0)
    problems.push('has no line; write one such as MILLER;sales for each user');
  return { groups: withSizes(names), problems: shortened(problems) };
}

/** The groups with more users than that. */
export function tooLarge(groups: GroupFile['groups'], most: number): Group[] {
  return [...new Set(groups.values())].filter(({ size }) => size > most);
}

/** Names of groups that differ only in upper and lower case, in pairs. */
export function alikeGroups(groups: GroupFile['groups']): [string, string][] {
  const first = new Map<string, string>();
  const alike: [string, string][] = [];
  for (const name of new Set([...groups.values()].map((group) => group.name))) {
    const before = first.get(name.toLowerCase());
    if (before === undefined) first.set(name.toLowerCase(), name);
    else alike.push([before, name]);
  }
  return alike;
}

/** The name as it is compared, or `undefined` for what cannot be the name of a group. */
export function groupName(raw: string): string | undefined {
  const name = raw.trim().normalize('NFC');
  return name === '' || name.length > GROUP_NAME_LIMIT || UNFIT.test(name) ? undefined : name;
}

function parseLine(line: string): { readonly user: string; readonly group: string } | string {
  const at = line.indexOf(';');
  if (at < 0) return 'has no ";"; write user;group, such as MILLER;sales';
  const user = canonicalUser(line.slice(0, at));
  if (user === undefined) return 'has no user name that a request can have before the ";"; write user;group';
  const group = groupName(line.slice(at + 1));
  if (group !== undefined) return { user, group };
  return `has no group of 1 to ${GROUP_NAME_LIMIT} characters after the ";"; write one, or remove the line`;
}

function withSizes(names: ReadonlyMap<string, string>): Map<string, Group> {
  const sizes = new Map<string, number>();
  for (const name of names.values()) sizes.set(name, (sizes.get(name) ?? 0) + 1);
  const groups = new Map([...sizes].map(([name, size]): [string, Group] => [name, { name, size }]));
  return new Map([...names].map(([user, name]) => [user, groups.get(name) as Group]));
}

function shortened(problems: readonly string[]): readonly string[] {
  if (problems.length <= MOST_PROBLEMS) return problems;
  return [...problems.slice(0, MOST_PROBLEMS), `and ${problems.length - MOST_PROBLEMS} more lines`];
}
