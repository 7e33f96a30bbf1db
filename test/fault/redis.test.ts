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
    'that stands still for %i ms splits no agent whose first requests come to both gateways',
    async (pauseMs) => {
      const { results, pausedMs } = await raceThroughPause({
        pauseMs,
        pause: () => stopProcess(stage.redis, pauseMs),
        gateways: stage.urls,
        pools: ['', 'hashed'],
        agents: 30,
        prefix: `PAUSED${pauseMs}-`,
      });
      // A machine that lets it stand still for longer than gateways wait shows nothing.
      if (pausedMs > 1_800) {
        report(`Redis stood still for ${Math.round(pausedMs)} ms and not ${pauseMs}: splits are not judged`);
        return;
      }
      for (const { splits, failed } of results.values()) expect([splits, failed]).toEqual([[], []]);
    },
  );

  test('when it goes on, what was placed meanwhile is written back, and the stored binding wins', async () => {
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

// The last one: a gateway more is there after it.
describe('Redis that is killed under load', () => {
  test('is missed by no known agent; new ones are placed alike by all gateways, and all stay when an empty Redis comes', async () => {
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

    // Without persistence: everything that it knew is gone.
    await stage.redis.start();
    const restartedAt = performance.now();
    await stage.storeIs('available');
    await requestsSince(running, restartedAt, 400);
    const outcomes = await running.stop();
    const known = stage.placesOf(outcomes);
    expect(outcomes.filter(({ status }) => status !== 200)).toEqual([]);

    // A gateway that knows nothing finds everyone in the store again.
    // As patient as it has to be: else one that is late would be away, and agents placed without it.
    const fresh = await stage.startGateway({ commandTimeout: '5s' });
    const asked = await Promise.all([...known.keys(), ...newcomers].map((user) => post(fresh.url, user)));
    const elsewhere = asked.filter(
      ({ user, connector }) => connector !== (known.get(user) ?? hashedPlace(user)),
    );
    expect(elsewhere, elsewhere.length === 0 ? '' : stage.logs()).toEqual([]);
  });
});
