import type { Change } from '../config/changes.ts';
import { changesBetween, formatChange } from '../config/changes.ts';
import { effectiveConfig, readEffective } from '../config/effective.ts';
import type { Config } from '../config/schema.ts';
import type { GatewayStatus } from '../core/gateway-status.ts';
import { VERSION } from '../package.ts';
import type { PoolMoves } from './moves.ts';
import { movesOf } from './moves.ts';

// The admin API carries no traffic, so it answers at once if it is reachable.
const ANSWER_MS = 5_000;

/** The description that a gateway gives of itself. */
export interface Running {
  readonly url: string;
  readonly status: GatewayStatus;
  /** The configuration in effect, with secrets masked. */
  readonly config: Config;
}

/** The comparison of a configuration with a running gateway. */
export interface Comparison {
  readonly against: Pick<GatewayStatus, 'state' | 'version' | 'replica'> & { readonly url: string };
  readonly changes: readonly Change[];
  /** A reload applies the whole configuration. */
  readonly reloadable: boolean;
  readonly pools: readonly PoolMoves[];
  readonly boundAgents: number;
  readonly moving: number;
  /** Pools whose store is away: their numbers are the last known ones. */
  readonly uncertain: readonly string[];
}

/** Throws an Error with a remedy if there is no answer, or if it does not come from a gateway. */
export async function askGateway(admin: string): Promise<Running> {
  if (!URL.canParse(admin) || !/^https?:$/.test(new URL(admin).protocol))
    throw new Error('--against must be the URL of an admin plane, such as http://127.0.0.1:9090');
  const [status, config] = await Promise.all([ask(admin, '/status'), ask(admin, '/config')]);
  try {
    return { url: admin, status: status as GatewayStatus, config: readEffective(config) };
  } catch (error) {
    const { version } = status as GatewayStatus;
    const reason = (error as Error).message;
    throw new Error(
      `the gateway at ${admin} (${version}) has other options than this program (${VERSION}): run check with the gateway's version; ${reason}`,
    );
  }
}

export function compare(after: Config, { url, status, config }: Running): Comparison {
  const { state, version, replica } = status;
  // The gateway masks its secrets, so mask ours as well.
  const changes = changesBetween(config, readEffective(effectiveConfig(after)));
  const pools = movesOf(status.pools, after, changes);
  return {
    against: { url, state, version, replica },
    changes,
    reloadable: changes.every(({ applies }) => applies === 'reload'),
    pools,
    boundAgents: total(pools.map(({ boundAgents }) => boundAgents)),
    moving: total(pools.map(({ moving }) => moving)),
    uncertain: status.pools.filter(({ affinity }) => !affinity.available).map(({ name }) => name),
  };
}

export function comparisonText(comparison: Comparison): string {
  const { against, changes, pools, boundAgents, moving, uncertain } = comparison;
  const lines = [
    `compared with ${against.replica} (${against.version}) at ${against.url}, which is ${against.state}`,
    ...changes.map(changeText),
    effectText(comparison),
    ...pools.flatMap(poolTexts),
    ...uncertain.map(
      (pool) => `pool ${pool}: its store is away; the numbers of agents are the last known ones`,
    ),
    `${moving} of ${boundAgents} bound agents would move`,
  ];
  return `${lines.join('\n')}\n`;
}

function changeText(change: Change): string {
  const { because } = change;
  return `  ${formatChange(change)}${because === undefined ? '' : ` (needs a restart, because ${because})`}`;
}

function effectText({ changes, reloadable }: Comparison): string {
  if (changes.length === 0) return 'the gateway already runs with this configuration';
  return reloadable
    ? 'a reload brings it into effect'
    : 'a reload would be refused: restart the gateway with this configuration';
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

async function ask(admin: string, path: string): Promise<unknown> {
  const url = new URL(path, admin);
  const answer = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'error' }).catch(
    (error: Error) => {
      const { cause } = error as { cause?: { code?: string } };
      const reason =
        error.name === 'TimeoutError' ? `within ${ANSWER_MS / 1_000} s` : `(${cause?.code ?? error.message})`;
      throw new Error(
        `no answer from the admin plane at ${admin} ${reason}: give --against the admin address of a running gateway (admin.address)`,
      );
    },
  );
  const body = await answer.text().catch(() => '');
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
