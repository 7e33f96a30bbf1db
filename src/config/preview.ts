import { RELOADABLE } from '../core/reload-preview-status.ts';
import type { Change } from './changes.ts';
import { formatChange, reloadable } from './changes.ts';
import type { Rebinds } from './restarts.ts';
import type { Config } from './schema.ts';

/** What a reload would do now, in the form in which the supervisor tells it to the controller. */
export interface ReloadPreview {
  /** Whether a reload would bring the configuration into effect. */
  readonly text: string;
  /** Why the configuration is invalid, one line each; then the rest is empty. */
  readonly problems: readonly string[];
  /** One line for each option that changes. */
  readonly changes: readonly string[];
  /** Why a reload would be refused although the configuration is valid: one line for each such change. */
  readonly refused: readonly string[];
  /** Why bindings would not survive the changes. */
  readonly rebinds: readonly Rebinds[];
  /** The configuration that would be in effect. */
  readonly config: Config | undefined;
}

/** @param read reads the configuration; throws an error that lists all problems if it is invalid */
export function previewReload(current: Config, read: () => Config): ReloadPreview {
  try {
    const config = read();
    const { changes, refused } = reloadable(current, config);
    return {
      text: effectText(changes),
      problems: [],
      changes: changes.map(formatChange),
      refused,
      rebinds: changes.flatMap(({ rebinds }) => rebinds ?? []),
      config,
    };
  } catch (error) {
    return {
      text: 'a reload would be refused: the configuration has problems',
      problems: (error as Error).message.split('\n'),
      changes: [],
      refused: [],
      rebinds: [],
      config: undefined,
    };
  }
}

// Not "restart": `ici-gateway restart --rolling` replaces processes as a reload does, and refuses the same.
const NEEDS_STOP =
  'a reload would be refused: leave out what needs a restart, or stop the gateway and start it again with this configuration';

/** Whether a reload brings the changes into effect. */
export function effectText(changes: readonly Pick<Change, 'applies'>[]): string {
  if (changes.length === 0) return 'the gateway already runs with this configuration';
  return changes.every(({ applies }) => applies === 'reload') ? RELOADABLE : NEEDS_STOP;
}
