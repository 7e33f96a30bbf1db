import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { rendezvous } from '../../src/core/balancers.ts';
import { nameKey } from '../../src/core/identity.ts';
import { stopProcess } from '../pauses/pause.ts';
import { raceThroughPause } from '../pauses/race.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { GatewaysOnRedis, requestsSince } from '../support/gateways-on-redis.ts';
import { anInstance } from '../support/instances.ts';
import type { RunningLoad } from '../support/load.ts';
import { post, users } from '../support/load.ts';
import { report } from '../support/report.ts';

let stage: GatewaysOnRedis;
let load: RunningLoad | undefined;

beforeAll(async () => {
  stage = await GatewaysOnRedis.start();
});

beforeEach(() => stage.storeIs('available'));

afterEach(async () => {
  await load?.stop();
  load = undefined;
});

afterAll(() => stage.close());

function hashedPlace(user: string): string | undefined {
  const candidates = ['a', 'b', 'c'].map((id) => anInstance({ id }));
  return rendezvous(candidates, nameKey('user', user))?.id;
}

describe('Redis that hangs under load', () => {
  test.each([150, 900])(
    'for %i ms splits no agent whose first requests come to both gateways',
    async (pauseMs) => {
      const { results, pausedMs } = await raceThroughPause({
        pauseMs,
        pause: () => stopProcess(stage.redis, pauseMs),
        gateways: stage.urls,
        pools: ['', 'hashed'],
        agents: 30,
        prefix: `PAUSED${pauseMs}-`,
      });
      // If the machine makes Redis pause for longer than gateways wait, the run shows nothing.
      if (pausedMs > 1_800) {
        report(`Redis stood still for ${Math.round(pausedMs)} ms and not ${pauseMs}: splits are not judged`);
        return;
      }
      for (const { splits, failed } of results.values()) expect([splits, failed]).toEqual([[], []]);
    },
  );

  test('gets the placements made meanwhile when it goes on, and its stored bindings win', async () => {
    const [one, two] = stage.gateways as [GatewayProcess, GatewayProcess];
    await eventually(() => post(one.url, 'SETTLED').then(({ status }) => expect(status).toBe(200)));
    stage.redis.pause();
    await Promise.all(users(20, 'MEANWHILE').map((user) => post(one.url, user)));
    await stage.storeIs('away');
    stage.redis.resume();
    await stage.storeIs('available');

    const asked = await Promise.all(users(20, 'MEANWHILE').map((user) => post(two.url, user)));
    const again = await Promise.all(users(20, 'MEANWHILE').map((user) => post(one.url, user)));
    stage.placesOf([...asked, ...again]);
    expect([...asked, ...again].filter(({ status }) => status !== 200)).toEqual([]);
  });
});

// The last test, because it starts one more gateway.
describe('Redis that is killed under load', { tags: 'long' }, () => {
  test('affects no known agent; all gateways place new ones alike, and all agents stay when Redis returns empty', async () => {
    const running = await stage.loadOn(40, 'ROBBED');
    load = running;

    await stage.redis.kill();
    const killedAt = performance.now();
    await stage.storeIs('away');
    await requestsSince(running, killedAt, 400);
    const newcomers = users(60, 'NEW');
    const placed = await Promise.all(newcomers.flatMap((user) => stage.urls.map((url) => post(url, user))));
    expect(placed.filter(({ status }) => status !== 200)).toEqual([]);
    for (const { user, connector } of placed) expect(connector).toBe(hashedPlace(user));

    // Without persistence, so all its data is gone.
    await stage.redis.start();
    const restartedAt = performance.now();
    await stage.storeIs('available');
    await requestsSince(running, restartedAt, 400);
    const outcomes = await running.stop();
    const known = stage.placesOf(outcomes);
    expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);

    // A new gateway finds every agent in the store again.
    // With long time limits: otherwise a late Redis would count as away, and agents be placed without it.
    const fresh = await stage.startGateway({ commandTimeout: '5s' });
    const asked = await Promise.all([...known.keys(), ...newcomers].map((user) => post(fresh.url, user)));
    const elsewhere = asked.filter(
      ({ user, connector }) => connector !== (known.get(user) ?? hashedPlace(user)),
    );
    expect(elsewhere, elsewhere.length === 0 ? '' : stage.logs()).toEqual([]);
  });
});
