import { certificatesOf, renewedCertificates } from '../config/certificates.ts';
import type { Change } from '../config/changes.ts';
import { changesBetween, formatChange } from '../config/changes.ts';
import { effectiveConfig, readEffective } from '../config/effective.ts';
import type { PoolMoves } from '../config/moves.ts';
import { movesOf } from '../config/moves.ts';
import { effectText } from '../config/preview.ts';
import type { Config } from '../config/schema.ts';
import type { GatewayStatus } from '../core/gateway-status.ts';
import type { ShownOption } from '../core/shown-option.ts';
import { VERSION } from '../package.ts';
import type { TokenHeader } from './admin/client.ts';

// The admin API carries no traffic, so it answers at once if it is reachable.
const ANSWER_MS = 5_000;

/** The description that a gateway gives of itself. */
export interface Running {
  readonly url: string;
  readonly status: GatewayStatus;
  /** The configuration in effect, with secrets masked. */
  readonly config: Config;
  /** Empty from a gateway of an earlier release. */
  readonly options: readonly ShownOption[];
}

/** The comparison of a configuration with a running gateway. */
export interface Comparison {
  readonly against: Pick<GatewayStatus, 'state' | 'version' | 'replica'> & { readonly url: string };
  readonly changes: readonly Change[];
  /** Certificates that were renewed in the same files. */
  readonly renewed: readonly string[];
  /** Changes that a reload cannot make, because the gateway was started with a flag or variable that stands above the file. */
  readonly overridden: readonly { readonly path: string; readonly source: string }[];
  /** A reload applies the whole configuration. */
  readonly reloadable: boolean;
  readonly pools: readonly PoolMoves[];
  readonly boundAgents: number;
  readonly moving: number;
  /** Pools whose store is away: their numbers are the last known ones. */
  readonly uncertain: readonly string[];
}

/** Throws an Error with a remedy if there is no answer, or if it does not come from a gateway. */
export async function askGateway(admin: string, headers: TokenHeader): Promise<Running> {
  if (!URL.canParse(admin) || !/^https?:$/.test(new URL(admin).protocol))
    throw new Error('--against must be the URL of an admin plane, such as http://127.0.0.1:9090');
  const [status, config, shown] = await Promise.all([
    ask(admin, '/status', headers),
    ask(admin, '/config', headers),
    ask(admin, '/config/options', headers).catch(() => ({ options: [] })),
  ]);
  try {
    const { options } = shown as { readonly options: readonly ShownOption[] };
    return { url: admin, status: status as GatewayStatus, config: readEffective(config), options };
  } catch (error) {
    const { version } = status as GatewayStatus;
    const reason = (error as Error).message;
    throw new Error(
      `the gateway at ${admin} (${version}) has other options than this program (${VERSION}): run check with the gateway's version; ${reason}`,
    );
  }
}

export function compare(after: Config, { url, status, config, options }: Running): Comparison {
  const { state, version, replica } = status;
  // The gateway masks its secrets, so mask ours as well.
  const changes = changesBetween(config, readEffective(effectiveConfig(after)));
  const overridden = overriddenIn(changes, config, options);
  const pools = movesOf(
    status.pools,
    after,
    changes.flatMap(({ rebinds }) => rebinds ?? []),
  );
  return {
    against: { url, state, version, replica },
    changes,
    renewed: renewedCertificates(status.certificates ?? [], certificatesOf(after)),
    overridden,
    reloadable: overridden.length === 0 && changes.every(({ applies }) => applies === 'reload'),
    pools,
    boundAgents: total(pools.map(({ boundAgents }) => boundAgents)),
    moving: total(pools.map(({ moving }) => moving)),
    uncertain: status.pools.filter(({ affinity }) => !affinity.available).map(({ name }) => name),
  };
}

export function comparisonText(comparison: Comparison): string {
  const { against, changes, renewed, overridden, pools, boundAgents, moving, uncertain } = comparison;
  const lines = [
    `compared with ${against.replica} (${against.version}) at ${against.url}, which is ${against.state}`,
    ...changes.map((change) => changeText(change, overridden)),
    ...renewed.map((line) => `  ${line}`),
    overridden.length > 0
      ? 'a reload would not bring all of it into effect: start the gateway again without what stands above the file'
      : effectText([...changes, ...renewed.map(() => RENEWED)]),
    ...pools.flatMap(poolTexts),
    ...uncertain.map(
      (pool) => `pool ${pool}: its store is away; the numbers of agents are the last known ones`,
    ),
    `${moving} of ${boundAgents} bound agents would move`,
  ];
  return `${lines.join('\n')}\n`;
}

const RENEWED = { applies: 'reload' } as const;

function changeText(change: Change, overridden: Comparison['overridden']): string {
  const { path, applies, because } = change;
  const above = overridden.find((one) => one.path === path)?.source;
  const needs = applies === 'restart' ? 'needs a restart' : 'a reload is enough';
  const restart = because === undefined ? '' : ` (${needs}, because ${because})`;
  const kept =
    above === undefined ? '' : ` (the gateway was started with ${above}, which stands above the file)`;
  return `  ${formatChange(change)}${restart}${kept}`;
}

/** The changes of options that a flag or a variable of the running gateway sets: a reload reads these again too. */
function overriddenIn(
  changes: readonly Change[],
  running: Config,
  options: readonly ShownOption[],
): { path: string; source: string }[] {
  const above = options
    .filter(({ source }) => /^(--|ICI_GATEWAY_)/.test(source))
    .map(({ path, source }) => ({ path: namedPath(path, running), source }));
  return changes.flatMap(({ path }) => {
    const set = above.find((one) => isWithin(one.path, path) || isWithin(path, one.path));
    return set === undefined ? [] : [{ path, source: set.source }];
  });
}

function isWithin(path: string, section: string): boolean {
  return path === section || path.startsWith(`${section}.`) || path.startsWith(`${section}[`);
}

/** `pools[ici].instances[b].url` instead of `pools[0].instances[1].url`. */
function namedPath(path: string, { pools }: Config): string {
  return path.replace(/^pools\[(\d+)\](?:\.instances\[(\d+)\])?/, (_, at: string, instance?: string) => {
    const pool = pools[Number(at)];
    const id = instance === undefined ? '' : `.instances[${pool?.instances[Number(instance)]?.id}]`;
    return `pools[${pool?.name}]${id}`;
  });
}

function poolTexts({ pool, isNew, movesEverybody, instances }: PoolMoves): string[] {
  if (isNew) return [`pool ${pool}: new, no agent is bound there yet`];
  return [
    ...instances.map(
      ({ instance, boundAgents, why }) =>
        `pool ${pool}: ${boundAgents} bound agents of ${instance} would move, because ${why}`,
    ),
    ...(movesEverybody ? [`pool ${pool}: its active instance changes, and all its agents move`] : []),
  ];
}

async function ask(admin: string, path: string, headers: TokenHeader): Promise<unknown> {
  const url = new URL(path, admin);
  const signal = AbortSignal.timeout(ANSWER_MS);
  const answer = await fetch(url, { headers, signal, redirect: 'error' }).catch((error: Error) => {
    const { cause } = error as { cause?: { code?: string } };
    const reason =
      error.name === 'TimeoutError' ? `within ${ANSWER_MS / 1_000} s` : `(${cause?.code ?? error.message})`;
    throw new Error(
      `no answer from the admin plane at ${admin} ${reason}: give --against the admin address of a running gateway (admin.address)`,
    );
  });
  const body = await answer.text().catch(() => '');
  if (answer.status === 401)
    throw new Error(`${url.href} needs a token: give --token-file a file with one of that gateway`);
  try {
    if (answer.ok) return JSON.parse(body);
  } catch {
    // Reported below.
  }
  throw new Error(
    `${url.href} answered ${answer.status}, unlike a gateway of this version: give --against the admin address of a gateway`,
  );
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
