import { effectiveYaml } from '../config/effective.ts';
import { jsonSchema } from '../config/json-schema.ts';
import { formatProblem } from '../config/problem.ts';
import type { Config, PoolConfig } from '../config/schema.ts';
import { readGroupFile } from '../config/secrets.ts';
import { fileLimit } from '../process/file-limit.ts';
import { filesOf } from '../wiring/open-files.ts';
import { tokenHeader } from './admin/client.ts';
import type { AdminContext } from './admin/context.ts';
import { EXIT_NO } from './admin/context.ts';
import { counted } from './admin/present.ts';
import { askGateway, compare, comparisonText } from './against.ts';
import { SHARED_WITH_NONE } from './embedded-store.ts';
import { loadFromFlags } from './load-flags.ts';
import type { StartFlags } from './start-options.ts';

export interface CheckFlags extends StartFlags {
  readonly print?: boolean;
  readonly schema?: boolean;
  /** URL of the admin API of a running gateway. */
  readonly against?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

/**
 * `ici-gateway check`. Throws `ConfigInvalid`, whose problems the program prints, or an Error with the
 * reason if it cannot compare.
 */
export async function runCheck(flags: CheckFlags, { env, output, exitWith }: AdminContext): Promise<void> {
  if (flags.schema === true) {
    output.out(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
    return;
  }
  if (flags.json === true && flags.against === undefined)
    throw new Error('--json prints a comparison: give --against URL too');
  const { config, warnings } = loadFromFlags(flags, env);
  for (const warning of warnings) output.err(`warning: ${formatProblem(warning)}\n`);
  if (flags.against !== undefined) {
    const comparison = compare(config, await askGateway(flags.against, tokenHeader(flags.tokenFile, env)));
    output.out(flags.json === true ? `${JSON.stringify(comparison, null, 2)}\n` : comparisonText(comparison));
    if (!comparison.reloadable) exitWith(EXIT_NO);
    return;
  }
  output.out(flags.print === true ? effectiveYaml(config) : summary(config, warnings.length));
}

function summary(config: Config, warnings: number): string {
  const { listen, admin, affinity } = config;
  const lines = [
    `listens on ${listen.address}${withTls(listen)}, admin plane on ${admin.address}${withTls(admin)}`,
    ...config.pools.map(poolLine),
    `store: ${affinity.store === 'redis' ? 'redis' : `embedded in ${affinity.stateDir}; ${SHARED_WITH_NONE}`}`,
    openFilesLine(config),
    `configuration is valid, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** The service may have another limit than this shell. */
function openFilesLine(config: Config): string {
  const files = fileLimit()?.hard ?? Number.POSITIVE_INFINITY;
  const { needed, connections } = filesOf(config, files);
  const need = `open files: a worker can need ${needed}`;
  if (files >= needed) return need;
  return `${need}; with the ${files} of this shell it would take ${connections} connections of clients (limits.connections: ${config.limits.connections}), so give the service more (LimitNOFILE)`;
}

function withTls({ tls }: { readonly tls?: unknown }): string {
  return tls === undefined ? '' : ' with TLS';
}

function poolLine(pool: PoolConfig): string {
  const hosts = pool.match.hosts.length === 0 ? 'every host' : pool.match.hosts.join(', ');
  const ids = pool.instances.map((instance) => instance.id).join(', ');
  const instances = pool.instances.length === 1 ? '1 instance' : `${pool.instances.length} instances`;
  return `pool ${pool.name}: ${pool.mode}, ${instances} (${ids}), ${hosts}, ${pool.match.paths.join(', ')}${groupsText(pool)}`;
}

function groupsText({ mode, groups: { file } }: PoolConfig): string {
  if (mode !== 'sticky' || file === undefined) return '';
  const groups = readGroupFile(file);
  return `, ${counted(groups.size, 'user')} in ${counted(new Set(groups.values()).size, 'group')}`;
}
