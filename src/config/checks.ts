import type { Finding, Path } from './problem.ts';
import type { CheckContext, Rule } from './rule.ts';
import { CONFIG_RULES, INSTANCE_RULES, POOL_RULES } from './rules.ts';

/**
 * Checks what concerns several options at once, and the files that options
 * name. A rule is left out where an option that it reads is already known to be
 * wrong: it would speak of values that nobody meant.
 */
export function runChecks(context: CheckContext, wrong: readonly Finding[]): void {
  const run = <Subject>(rules: readonly Rule<Subject>[], subject: Subject, at: Path): void => {
    for (const rule of rules) {
      const reads = rule.reads.map((path) => [...at, ...path]);
      const sound = wrong.every((finding) => reads.every((path) => !overlaps(path, finding.path)));
      if (sound) rule.check(subject, at, context);
    }
  };
  run(CONFIG_RULES, context.config, []);
  for (const [pool, poolPath] of entries(context.config.pools, ['pools'])) {
    run(POOL_RULES, pool, poolPath);
    // A pool that is no section at all resolves to nothing.
    for (const [instance, path] of entries(pool?.instances, [...poolPath, 'instances']))
      run(INSTANCE_RULES, instance, path);
  }
}

/** The entries of a list that may have turned out to be something else. */
function entries<Item>(list: readonly Item[] | undefined, path: Path): [Item, Path][] {
  return Array.isArray(list) ? list.map((item: Item, index) => [item, [...path, index]]) : [];
}

/** True where one path lies in the other; `'*'` stands for every position of a list. */
function overlaps(pattern: Path, path: Path): boolean {
  const length = Math.min(pattern.length, path.length);
  for (let i = 0; i < length; i++) {
    if (pattern[i] !== '*' && pattern[i] !== path[i]) return false;
  }
  return true;
}
