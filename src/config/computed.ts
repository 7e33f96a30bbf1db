import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Path } from './problem.ts';
import { isRecord } from './tree.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ComputeContext {
  readonly path: Path;
  /** The section around the option, as written. */
  readonly around: unknown;
  readonly env: Environment;
}

interface Computed {
  /** Stands where other options show their default. */
  readonly label: string;
  compute(context: ComputeContext): unknown;
}

export type ComputedName = 'position' | 'store' | 'stateDir' | 'zone';

/** Defaults that depend on other options or on the environment. */
export const COMPUTED: Readonly<Record<ComputedName, Computed>> = {
  position: {
    label: 'position in the list, from 1',
    compute: ({ path }) => Number(path.at(-2)) + 1,
  },
  store: {
    label: '`redis` where `affinity.redis` is given, else `embedded`',
    compute: ({ around }) => (isRecord(around) && isRecord(around['redis']) ? 'redis' : 'embedded'),
  },
  zone: {
    label: "the host's",
    compute: () => new Intl.DateTimeFormat().resolvedOptions().timeZone,
  },
  // XDG Base Directory Specification: state that outlives a restart; an unset,
  // empty or relative variable counts as not given.
  stateDir: {
    label: '`$XDG_STATE_HOME/ici-gateway` or `~/.local/state/ici-gateway`',
    compute: ({ env }) => {
      const given = env['XDG_STATE_HOME'] ?? '';
      const base = given.startsWith('/') ? given : join(env['HOME'] || homedir(), '.local', 'state');
      return join(base, 'ici-gateway');
    },
  },
};
