import type { Command } from 'commander';
import type { Overlay, OverlayResult } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import type { Setting } from '../config/settings.ts';
import type { Tree } from '../config/tree.ts';
import { isRecord } from '../config/tree.ts';
import { CONFIG_VARIABLE } from '../config/variables.ts';

/** The flags of `start`. `check` has them too, so that it checks exactly the configuration that would start. */
export interface StartFlags {
  readonly config?: string;
  readonly listen?: string;
  readonly admin?: string;
  readonly pool?: string;
  readonly instance?: readonly string[];
  readonly mode?: string;
  readonly balancer?: string;
  readonly healthPath?: string;
  readonly redis?: string;
  readonly soapUserElement?: readonly string[];
  readonly soapSessionElement?: readonly string[];
  readonly stateDir?: string;
  readonly logLevel?: string;
  readonly workers?: string;
}

const POOL_NAME = 'ici';

/** Collects the values of a flag that may be given several times. */
export const repeatable = (value: string, before: readonly string[] = []): string[] => [...before, value];

export function addStartFlags(command: Command): Command {
  return command
    .option('-c, --config <file>', `YAML configuration file ($${CONFIG_VARIABLE})`)
    .option('--listen <host:port>', 'address for SAP CRM (listen.address)')
    .option('--admin <host:port>', 'address for operators (admin.address)')
    .option(
      '--instance <id=url>',
      'an instance; repeat it for each one; replaces the instances of the file',
      repeatable,
    )
    .option(
      '--pool <name>',
      `pool to which --instance, --mode, --balancer and --health-path apply (${POOL_NAME})`,
    )
    .option('--mode <mode>', 'failover or sticky (pools[].mode)')
    .option('--balancer <name>', 'how a sticky pool places new agents (pools[].balancer)')
    .option('--health-path <path>', 'health page of the instances (pools[].health.path)')
    .option('--redis <url>', 'share bindings through this Redis (affinity.redis.url)')
    .option(
      '--soap-user-element <name>',
      'element with the user name; repeat it for each one, best first',
      repeatable,
    )
    .option(
      '--soap-session-element <name>',
      'element with the session; repeat it for each one, best first',
      repeatable,
    )
    .option('--state-dir <dir>', 'directory of the embedded store (affinity.stateDir)')
    .option(
      '--workers <n>',
      'number of processes that carry traffic; 0 runs everything in one process (workers)',
    )
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent (logging.level)');
}

/** The flags as the top layer of the configuration. */
export function overlayOf(flags: StartFlags): Overlay {
  return (given) => {
    const ofPool = poolSettings(flags, given);
    return { settings: [...plainSettings(flags), ...ofPool.settings], problems: ofPool.problems ?? [] };
  };
}

function plainSettings(flags: StartFlags): Setting[] {
  const settings: Setting[] = [];
  const add = (source: string, value: unknown, ...path: string[]): void => {
    if (value !== undefined) settings.push({ path, value, source });
  };
  add('--listen', flags.listen, 'listen', 'address');
  add('--admin', flags.admin, 'admin', 'address');
  add('--redis', flags.redis, 'affinity', 'redis', 'url');
  // A Redis on the command line overrides the store of the file.
  if (flags.redis !== undefined) add('--redis', 'redis', 'affinity', 'store');
  add('--soap-user-element', flags.soapUserElement, 'identity', 'userElements');
  add('--soap-session-element', flags.soapSessionElement, 'identity', 'sessionElements');
  add('--state-dir', flags.stateDir, 'affinity', 'stateDir');
  add('--log-level', flags.logLevel, 'logging', 'level');
  // Text that is not a number fails later as a value of the option.
  const { workers } = flags;
  add('--workers', workers !== undefined && /^[0-9]+$/.test(workers) ? Number(workers) : workers, 'workers');
  return settings;
}

function poolSettings(flags: StartFlags, given: Tree): OverlayResult {
  const used = Object.entries({
    '--instance': flags.instance,
    '--mode': flags.mode,
    '--balancer': flags.balancer,
    '--health-path': flags.healthPath,
    '--pool': flags.pool,
  }).filter(([, value]) => value !== undefined);
  const [first] = used;
  if (first === undefined) return { settings: [] };

  const choice = choosePool(flags, given, first[0]);
  if ('problem' in choice) return { settings: [], problems: [choice.problem] };
  const { index, isNew } = choice;
  if (isNew && flags.instance === undefined) {
    const message = 'has no pool to apply to; give --instance ID=URL for each instance, or --config FILE';
    return { settings: [], problems: [complaint(first[0], message)] };
  }
  const instances = parseInstances(flags.instance ?? []);

  const settings: Setting[] = [];
  const add = (source: string, value: unknown, ...path: string[]): void => {
    if (value !== undefined) settings.push({ path: ['pools', index, ...path], value, source });
  };
  if (isNew) add(flags.pool === undefined ? first[0] : '--pool', flags.pool ?? POOL_NAME, 'name');
  // Even if one --instance has a problem, check the others.
  add('--instance', flags.instance === undefined ? undefined : instances.value, 'instances');
  add('--mode', flags.mode, 'mode');
  add('--balancer', flags.balancer, 'balancer');
  add('--health-path', flags.healthPath, 'health', 'path');
  return { settings, problems: instances.problems };
}

type PoolChoice = { readonly index: number; readonly isNew: boolean } | { readonly problem: Problem };

/** The pool to which the flags apply: the only one, or the one that `--pool` names. */
function choosePool(flags: StartFlags, given: Tree, flag: string): PoolChoice {
  const pools: unknown[] = Array.isArray(given['pools']) ? given['pools'] : [];
  if (pools.length === 0) return { index: 0, isNew: true };

  const names = pools.map((pool) => (isRecord(pool) ? String(pool['name']) : ''));
  if (flags.pool !== undefined) {
    const index = names.indexOf(flags.pool);
    if (index >= 0) return { index, isNew: false };
    return {
      problem: complaint('--pool', `is "${flags.pool}", but the configuration has ${names.join(', ')}`),
    };
  }
  if (pools.length === 1) return { index: 0, isNew: false };
  const remedy = `the configuration has several: ${names.join(', ')}; choose one with --pool`;
  return { problem: complaint(flag, `applies to one pool, but ${remedy}`) };
}

function parseInstances(texts: readonly string[]): { value: Tree[]; problems: Problem[] } {
  const value: Tree[] = [];
  const problems: Problem[] = [];
  for (const text of texts) {
    const [, id, url] = /^([^=/]+)=(.+)$/.exec(text) ?? [];
    if (id === undefined) {
      const shown = text.replace(/\/\/.*@/, '//***@');
      problems.push(
        complaint('--instance', `must be id=url, such as a=http://10.0.0.1:8080, but is "${shown}"`),
      );
    } else value.push({ id, url });
  }
  return { value, problems };
}

function complaint(flag: string, message: string): Problem {
  return { path: '', source: flag, message };
}
