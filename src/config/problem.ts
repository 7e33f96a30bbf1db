/** The way to an option: names of sections, positions in lists. */
export type Path = readonly (string | number)[];

/** What one part of the loader has to say about one option, before it is known where that was written. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  /** Point at the option's name, because the name is what is wrong. */
  readonly atKey?: boolean;
}

/** Something the operator has to put right, or a warning of something dubious. */
export interface Problem {
  /** The option, such as `pools[0].instances[1].url`; `''` for the whole. */
  readonly path: string;
  /** Who said it: the file, an environment variable, a flag; `undefined` for what nobody gave. */
  readonly source?: string;
  /** In the file, from 1. */
  readonly line?: number;
  readonly column?: number;
  /** What is wrong and what to do, without a full stop. */
  readonly message: string;
}

/** The configuration cannot be used. Carries every problem that was found, not just the first. */
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

/** The candidate that was probably meant, or `undefined` if none is near. */
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
