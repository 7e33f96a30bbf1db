export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Must stand in the file exactly once. */
  readonly search: string;
  readonly replace: string;
  /** The test files of which at least one test has to fail. */
  readonly tests: readonly string[];
}
