import type { Environment } from '../config/computed.ts';
import type { Loaded } from '../config/load.ts';
import { loadConfig } from '../config/load.ts';
import { CONFIG_VARIABLE } from '../config/variables.ts';
import type { StartFlags } from './start-options.ts';
import { overlayOf } from './start-options.ts';

/** Loads the configuration from file, flags and environment. Throws `ConfigInvalid`. */
export function loadFromFlags(flags: StartFlags, env: Environment): Loaded {
  const file = flags.config ?? (env[CONFIG_VARIABLE] || undefined);
  return loadConfig({ file, env, overlay: overlayOf(flags) });
}
