import type { ShownOption } from '../core/shown-option.ts';
import type { ReloadPreview } from './preview.ts';
import type { Config } from './schema.ts';

/** A configuration as the processes of a gateway get it, so that they need not load the code that knows all options. */
export interface ReadConfig {
  /** Fully resolved. */
  readonly config: Config;
  /** The same for display: with units, and with secrets masked. */
  readonly shownConfig: Readonly<Record<string, unknown>>;
  /** Every option with its default and its source. */
  readonly shownOptions: readonly ShownOption[];
}

/** A configuration that was read for a reload. */
export interface ReadAgain extends ReadConfig {
  /** Compared with the configuration in effect. */
  readonly reload: Pick<ReloadPreview, 'changes' | 'refused'>;
}
