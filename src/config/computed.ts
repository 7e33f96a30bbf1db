import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import type { Profile } from '../core/probes/advice.ts';
import type { Path } from './problem.ts';
import { isRecord } from './tree.ts';
import { parseDuration } from './units.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ComputeContext {
  readonly path: Path;
  /** The section around the option, as written. */
  readonly around: unknown;
  readonly env: Environment;
}

interface Computed {
  /** Shown in place of a default. */
  readonly label: string;
  compute(context: ComputeContext): unknown;
}

export type ComputedName =
  | 'position'
  | 'store'
  | 'stateDir'
  | 'workers'
  | 'zone'
  | 'sapInstanceName'
  | 'sapControlAddress'
  | 'sapControlSocket'
  | 'probeInterval'
  | 'probeFastInterval'
  | 'probeTimeout'
  | 'probeFall';

// More workers share only the port, and the host needs cores for other work too.
const MOST_WORKERS = 4;

/** How soon an instance counts as down, by `health.profile`. */
const PROFILES = {
  careful: { interval: '2s', fastInterval: '250ms', timeout: '1s', fall: 3 },
  balanced: { interval: '1s', fastInterval: '200ms', timeout: '600ms', fall: 3 },
  fast: { interval: '500ms', fastInterval: '100ms', timeout: '300ms', fall: 2 },
} as const satisfies Record<Profile, unknown>;

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
  workers: {
    label: 'the cores, at most 4',
    compute: () => Math.min(availableParallelism(), MOST_WORKERS),
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
  sapInstanceName: {
    label: '`W<instanceNumber>`',
    compute: ({ around }) => `W${instanceNumberOf(around)}`,
  },
  // The address at which SAP's tools look for a start service.
  sapControlAddress: {
    label: '`127.0.0.1:5<instanceNumber>13`',
    compute: ({ around }) => `127.0.0.1:5${instanceNumberOf(around)}13`,
  },
  sapControlSocket: {
    label: '`/tmp/.sapstream5<instanceNumber>13`, or in `$TMPDIR`',
    compute: ({ around, env }) => {
      const given = env['TMPDIR'] ?? '';
      const folder = given.startsWith('/') ? given : '/tmp';
      return join(folder, `.sapstream5${instanceNumberOf(around)}13`);
    },
  },
  probeInterval: byProfile('interval'),
  probeFastInterval: byProfile('fastInterval'),
  probeTimeout: byProfile('timeout'),
  probeFall: byProfile('fall'),
};

/** The values of each profile, in ms; those of `fall` are numbers of probes. */
export function healthProfiles() {
  const ms = (text: string): number => parseDuration(text) as number;
  return Object.entries(PROFILES).map(([profile, { interval, fastInterval, timeout, fall }]) => ({
    profile: profile as Profile,
    interval: ms(interval),
    fastInterval: ms(fastInterval),
    timeout: ms(timeout),
    fall,
  }));
}

function byProfile(option: keyof (typeof PROFILES)['careful']): Computed {
  const values = Object.entries(PROFILES).map(
    ([profile, { [option]: value }]) => `\`${value}\` (${profile})`,
  );
  return {
    label: values.join(', '),
    compute: ({ around }) => PROFILES[profileOf(around)][option],
  };
}

/** An invalid profile is reported at its own option. */
function profileOf(around: unknown): keyof typeof PROFILES {
  const written = isRecord(around) ? around['profile'] : undefined;
  return typeof written === 'string' && Object.hasOwn(PROFILES, written)
    ? (written as keyof typeof PROFILES)
    : 'careful';
}

/** An invalid number is reported at its own option, and not a second time here. */
function instanceNumberOf(around: unknown): string {
  const written = isRecord(around) ? around['instanceNumber'] : undefined;
  return typeof written === 'string' && /^[0-9]{2}$/.test(written) ? written : '00';
}
