import type { Finding, Path } from './problem.ts';
import type { CheckContext, Rule } from './rule.ts';
import { CONFIG_RULES, INSTANCE_RULES, POOL_RULES } from './rules.ts';

/**
 * Runs the rules of `rules.ts`: about several options together, and about the files that options name. Skips a rule if
 * an option that it reads already has a problem, because the rule would only report consequences of that problem.
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
    // A pool that is not a section resolves to undefined.
    for (const [instance, path] of entries(pool?.instances, [...poolPath, 'instances']))
      run(INSTANCE_RULES, instance, path);
  }
}

/** The entries of a list; none if the value is not a list. */
function entries<Item>(list: readonly Item[] | undefined, path: Path): [Item, Path][] {
  return Array.isArray(list) ? list.map((item: Item, index) => [item, [...path, index]]) : [];
}

/** Whether one path contains the other; `'*'` stands for every position of a list. */
function overlaps(pattern: Path, path: Path): boolean {
  const length = Math.min(pattern.length, path.length);
  for (let i = 0; i < length; i++) {
    if (pattern[i] !== '*' && pattern[i] !== path[i]) return false;
  }
  return true;
}
