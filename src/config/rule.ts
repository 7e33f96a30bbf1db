import type { Path } from './problem.ts';
import type { Config } from './schema.ts';

export interface CheckContext {
  readonly config: Config;
  /** Whether the option is set by the operator, not by its default. */
  given(path: Path): boolean;
  /** The configuration file, if the value of the option stands there. */
  fileOf(path: Path): string | undefined;
  error(path: Path, message: string): void;
  warn(path: Path, message: string): void;
}

/** The type of the rules in `rules.ts`: a check of one subject, such as a pool, at the path `at`. */
export interface Rule<Subject> {
  /** What the rule reads, relative to the subject; `'*'` is every position of a list. */
  readonly reads: readonly Path[];
  check(subject: Subject, at: Path, context: CheckContext): void;
}
