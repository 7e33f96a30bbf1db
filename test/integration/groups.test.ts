import { afterEach, expect, inject, test } from 'vitest';
import { uniquePrefix } from '../contract/affinity-store-support.ts';
import { INSTANCES, TeamSite } from '../groups/site.ts';
import type { Team } from '../groups/watch.ts';
import { unevenness } from '../groups/watch.ts';

let site: TeamSite | undefined;
afterEach(() => site?.close());

function team(index: number, size: number): Team {
  return { name: `team ${index}`, members: Array.from({ length: size }, (_, i) => `T${index}M${i}`) };
}

// Eight of four sizes: an even share is 26.
const TEAMS = [20, 16, 10, 6, 20, 16, 10, 6].map((size, i) => team(i, size));
const AGENTS = TEAMS.flatMap(({ members }) => members);

test('teams log on through three gateways at once, lose an instance, meet a drain, and are never split', async () => {
  site = await TeamSite.start({
    redisUrl: inject('redisUrl'),
    keyPrefix: uniquePrefix(),
    teams: TEAMS,
    idleMs: 3_600_000,
  });
  const { watch } = site;

  await site.round(AGENTS);
  expect(watch.splits).toEqual([]);
  expect(watch.failed).toBe(0);
  // Whatever the order in which they come: a team goes to the instance that has least.
  expect(unevenness(watch.load(INSTANCES))).toBeLessThanOrEqual(20 / 26);

  const before = watch.places();
  await site.kill('c');
  await site.round(AGENTS);
  expect(watch.splits).toEqual([]);
  const after = watch.places();
  for (const [name, place] of before) if (place !== 'c') expect(after.get(name), name).toBe(place);
  expect([...after.values()]).not.toContain('c');

  const draining = after.get('team 0') ?? '';
  await site.drain(draining);
  const late: Team = { name: 'late', members: ['L1', 'L2', 'L3'] };
  const joins = ['N1', 'N2'];
  watch.join('team 0', ...joins);
  watch.join('late', ...late.members);
  const grown = TEAMS.map((one, i) => (i === 0 ? { ...one, members: [...one.members, ...joins] } : one));
  site.writeTeams([...grown, late]);
  await site.everyGatewayReads('L1');
  await site.round([...AGENTS, ...joins, ...late.members]);

  expect(watch.splits).toEqual([]);
  expect(watch.places().get('team 0')).toBe(draining);
  expect(watch.places().get('late')).not.toBe(draining);
});
