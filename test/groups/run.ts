/**
 * Teams log on through three gateways at four connectors, shift after shift, while an instance is lost, added and
 * drained and the file of groups changes; counts teams that were split, and how even the load is.
 *
 *   npm run trial groups -- --rounds 3
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startRedis } from '../support/redis-server.ts';
import { INSTANCES, shuffled, TeamSite } from './site.ts';
import type { Team } from './watch.ts';
import { unevenness } from './watch.ts';

const USAGE = `Lets teams of 5 to 60 agents log on through three gateways at once, at four connectors, and counts split teams.

  --teams N    how many (default 40)
  --rounds N   how often all is done (default 1)
  --idle N     seconds after which an agent counts as gone: several times as long as it takes all agents to send one
               request (default 20)
  --help

Exit status 1 if a team was split at any time, or the load was more than 20 % from even.
`;

const MOST_UNEVEN = 0.2;
const MOST_SHOWN = 10;
const FILE_CHANGES = 5;
const BETWEEN_CHANGES_MS = 1_200;

const WITHOUT_C = INSTANCES.filter((id) => id !== 'c');
const WITHOUT_D = INSTANCES.filter((id) => id !== 'd');

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      teams: { type: 'string', default: '40' },
      rounds: { type: 'string', default: '1' },
      idle: { type: 'string', default: '20' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return print(USAGE);
  const redis = await startRedis();
  try {
    for (let i = 0; i < Number(values.rounds); i += 1)
      await round(redis.url, Number(values.teams), Number(values.idle) * 1_000);
  } finally {
    await redis.stop();
  }
}

async function round(redisUrl: string, count: number, idleMs: number): Promise<void> {
  const teams = Array.from({ length: count }, (_, i) => team(`T${i}`, 5 + Math.floor(Math.random() * 56)));
  const agents = teams.flatMap(({ members }) => members);
  const keyPrefix = `groups-${randomBytes(4).toString('hex')}`;
  const site = await TeamSite.start({ redisUrl, keyPrefix, teams, idleMs });
  print(
    `${count} teams, ${agents.length} agents\nphase                           | splits | failed | unevenness\n`,
  );
  const tell = (phase: string, instances: readonly string[], mustBeEven = true): void => {
    const { watch } = site;
    const uneven = unevenness(watch.load(instances));
    const cells = [
      phase.padEnd(31),
      String(watch.splits.length).padStart(6),
      String(watch.failed).padStart(6),
    ];
    print(`${cells.join(' | ')} | ${(uneven * 100).toFixed(1)} %\n`);
    if (watch.splits.length > 0) process.exitCode = 1;
    for (const split of watch.splits.splice(0).slice(0, MOST_SHOWN)) print(`  ${JSON.stringify(split)}\n`);
    watch.failed = 0;
    if (mustBeEven && uneven > MOST_UNEVEN) process.exitCode = 1;
  };
  try {
    await site.round(agents);
    tell('first log-ons at once', INSTANCES);
    await site.during(agents, () => site.kill('c'));
    tell('c is lost', WITHOUT_C);
    await site.during(agents, () => site.restart('c'));
    tell('c is back, agents stay', INSTANCES, false);
    await site.endOfShift();
    await site.round(agents);
    tell('next shift', INSTANCES);

    const early = teams.flatMap(({ members }) => members.slice(0, members.length / 2));
    await site.endOfShift();
    await site.round(early);
    await site.during(early, () => site.drain('d'));
    await site.round(agents);
    tell('d drains, latecomers join', INSTANCES);
    await site.endOfShift();
    await site.round(agents);
    tell('next shift, d is drained', WITHOUT_D);

    await site.during(agents, () => changeFile(site, teams));
    tell('the file changes', WITHOUT_D, false);
  } finally {
    await site.close();
  }
}

/** Agents change teams in the file, which moves none of them, and new agents come. */
async function changeFile(site: TeamSite, teams: readonly Team[]): Promise<void> {
  for (let change = 0; change < FILE_CHANGES; change += 1) {
    const joins = teams.map(({ name }) => `${name}N${change}`);
    const members = shuffled(teams.flatMap((one) => one.members));
    const next = teams.map(({ name, members: { length } }, i) => ({
      name,
      members: [...members.splice(0, length), joins[i] ?? ''],
    }));
    site.writeTeams(next);
    site.watch.regroup(next);
    await site.everyGatewayReads(joins[0] ?? '');
    // Agents who were there stay, and all new agents of a team come to one place.
    for (const [i, { name }] of teams.entries()) site.watch.join(`${name}, new`, joins[i] ?? '');
    await site.round(joins);
    await new Promise((resolve) => {
      setTimeout(resolve, BETWEEN_CHANGES_MS);
    });
  }
}

function team(name: string, size: number): Team {
  return { name, members: Array.from({ length: size }, (_, i) => `${name}M${i}`) };
}

function print(text: string): void {
  process.stdout.write(text);
}

main().catch((error: unknown) => {
  process.stderr.write(
    `groups: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exitCode = 2;
});
