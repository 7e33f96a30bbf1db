/** The way to an option: names of sections, positions in lists. */
export type Path = readonly (string | number)[];

/** A problem with an option, before its place in the file is known. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  /** The problem is the name of the option, so point at that. */
  readonly atKey?: boolean;
}

/** An error that the operator must correct, or a warning. */
export interface Problem {
  /** The option, such as `pools[0].instances[1].url`; `''` for the whole. */
  readonly path: string;
  /** Where the value comes from: the file, an environment variable, a flag; `undefined` for a default. */
  readonly source?: string;
  /** In the file, from 1. */
  readonly line?: number;
  readonly column?: number;
  /** The problem and the remedy, without a full stop. */
  readonly message: string;
}

/** The configuration cannot be used. Has all problems, not only the first. */
export class ConfigInvalid extends Error {
  override readonly name = 'ConfigInvalid';
  readonly code = 'GW_CONFIG_INVALID';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/** One line, in the form that editors and terminals turn into a link: `gateway.yaml:12:7 path: message`. */
export function formatProblem(problem: Problem): string {
  const position = problem.line === undefined ? '' : `:${problem.line}:${problem.column ?? 1}`;
  const where = [problem.source === undefined ? '' : `${problem.source}${position}`, problem.path];
  const prefix = where.filter((part) => part !== '').join(' ');
  return prefix === '' ? problem.message : `${prefix}: ${problem.message}`;
}

export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** The most similar candidate, or `undefined` if none is similar. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase();
  let best: string | undefined;
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (previous[j] ?? 0) + 1,
        (current[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
