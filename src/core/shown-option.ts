/** One option of a configuration, for display. */
export interface ShownOption {
  /** Such as `pools[0].health.path`. */
  readonly path: string;
  /** As a configuration file would hold it, with secrets masked. */
  readonly value: string;
  /** `null` for an option without one. */
  readonly default: string | null;
  /** Where the value comes from: `default`, a file with the line, an environment variable or a flag. */
  readonly source: string;
}
