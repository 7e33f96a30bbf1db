import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalViewStore } from '../../../src/coordination/local-view-store.ts';
import { StoreUnavailable } from '../../../src/core/ports.ts';
import { eventually } from '../../support/eventually.ts';
import { Coordinators, FAIL, observeBoth, PASS, target } from './pool-coordinator-support.ts';

let coordinators: Coordinators;
let directory: string;

beforeEach(() => {
  coordinators = new Coordinators();
  directory = mkdtempSync(join(tmpdir(), 'ici-gateway-coordination-'));
});

afterEach(async () => {
  await coordinators.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('a gateway that is alone', () => {
  const alone = (): LocalViewStore =>
    new LocalViewStore({ leaseMs: 0, joinMs: 0, file: join(directory, 'agreement-ici.json') });

  test('acts on its probes at once, and fails over by itself', async () => {
    const coordinator = coordinators.make('g1', alone());
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();
    expect(target(coordinator)).toBe('a');
    coordinator.observed('a', FAIL, 1);
    await coordinator.renew();
    expect(target(coordinator)).toBe('b');
  });

  test('continues the probe counts of the process before it', async () => {
    const thresholds = { rise: 2, fall: 3 };
    const before = coordinators.make('g1', alone(), { thresholds });
    await before.start();
    observeBoth(before, PASS, FAIL);
    await before.settled();
    const { agreed, lastSync, routingState } = before;
    const { policy } = lastSync;
    const after = coordinators.make('g1', alone(), { thresholds, knew: { agreed, policy } });
    await after.start();
    observeBoth(after, FAIL, PASS);
    await after.settled();
    expect(after.routingState.view).toStrictEqual(routingState.view);
    observeBoth(after, FAIL, PASS);
    await after.renew();
    expect(after.routingState.view.instances.get('b')?.health).toBe('up');
    expect(target(after)).toBe('a');
    observeBoth(after, FAIL, PASS);
    await after.renew();
    expect(target(after)).toBe('b');
  });

  test('reports the reason of the first failed probe, and of the one that turns the instance down', async () => {
    const coordinator = coordinators.make('g1', alone(), { thresholds: { rise: 1, fall: 3 } });
    await coordinator.start();
    observeBoth(coordinator, PASS, { ...FAIL, reason: 'never seen up' });
    for (const reason of ['1st', '2nd', '3rd', '4th']) {
      coordinator.observed('a', { ...FAIL, reason }, 1);
    }
    expect(coordinators.told.filter((line) => /doubted|down/.test(line))).toEqual([
      'g1: b down, never seen up',
      'g1: a doubted, 1st',
      'g1: a down, 3rd',
    ]);
  });

  test('remembers the active instance and the changes of operators over a restart', async () => {
    const before = coordinators.make('g1', alone());
    await before.start();
    observeBoth(before, FAIL);
    await before.settled();
    await before.commitPolicy((policy) => ({ ...policy, failbackBy: 'operator' }), []);
    await before.close();

    const after = coordinators.make('g2', alone());
    await after.start();
    observeBoth(after, PASS);
    await after.settled();
    expect([target(after), after.lastSync.policy.failbackBy]).toEqual(['b', 'operator']);
    await eventually(() => expect(after.routingState.view.instances.get('a')?.health).toBe('up'));
    expect(after.agreed.epoch).toBeGreaterThan(before.agreed.epoch);
  });

  test('fails over while it cannot write, and writes later; a refused change is not made', async () => {
    const file = join(directory, 'agreement-ici.json');
    const coordinator = coordinators.make('g1', alone(), { leaseMs: 300 });
    await coordinator.start();
    observeBoth(coordinator, PASS);
    await coordinator.settled();
    mkdirSync(`${file}.new`);
    const act = coordinator.commitPolicy((policy) => ({ ...policy, failbackBy: 'operator' }), []);
    await expect(act).rejects.toThrow(StoreUnavailable);
    coordinator.observed('a', FAIL, coordinator.agreed.epoch);
    await eventually(() => expect(target(coordinator)).toBe('b'));
    const written = (): unknown => JSON.parse(readFileSync(file, 'utf8'));
    expect(written()).toMatchObject({ view: { active: 'a' }, policy: { failbackBy: 'configuration' } });
    rmdirSync(`${file}.new`);
    await eventually(() =>
      expect(written()).toMatchObject({ view: { active: 'b' }, policy: { failbackBy: 'configuration' } }),
    );
    expect(coordinator.isStoreAway).toBe(false);
    expect(target(coordinator)).toBe('b');
  });

  test('names a damaged file instead of starting without its contents', () => {
    const file = join(directory, 'agreement-ici.json');
    writeFileSync(file, readFileSync(import.meta.filename).subarray(0, 40));
    expect(() => alone()).toThrow(`${file} is damaged: remove it`);
    for (const other of ['{}', 'null', '[]', '"x"', '{"view":null}', '{"view":{"epoch":1,"instances":{}}}']) {
      writeFileSync(file, other);
      expect(() => alone(), other).toThrow(`${file} is damaged: remove it`);
    }
  });
});
