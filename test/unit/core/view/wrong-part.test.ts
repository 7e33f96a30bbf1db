import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../../src/config/load.ts';
import { pool as poolSchema } from '../../../../src/config/schema-pool.ts';
import { unknownParts, wrongPart } from '../../../../src/core/view/wrong-part.ts';
import { poolParts } from '../../../../src/wiring/pool-parts.ts';

const VALID = { instances: ['a', 'b'] };

describe('a wrong part of a configuration', () => {
  test.each([
    ['quorum', 7, 'parts.quorum must be one of majority, any, all'],
    ['mode', 'x', 'parts.mode must be one of failover, sticky'],
    ['mode', ['sticky'], 'parts.mode must be one of'],
    ['quarantine', 'yes', 'parts.quarantine must be true or false'],
    ['countRestarts', null, 'parts.countRestarts must be true or false'],
    ['failback', 'never', 'parts.failback must be such as'],
    ['failback', { kind: 'at', time: '25:00', zone: 'UTC' }, 'parts.failback must be such as'],
    ['failback', { kind: 'at', time: '03:30', zone: 'Mars' }, 'parts.failback must be such as'],
    ['weight:a', 'x', 'parts.weight:a must be a number from 0 to 1000'],
    ['weight:a', -1, 'parts.weight:a must be a number from 0 to 1000'],
    ['weight:c', 1, 'parts.weight:c is about an instance that parts.instances does not name'],
    ['priority:b', 0.5, 'parts.priority:b must be a whole number from 1 to 1000'],
    ['admin:a', 'off', 'parts.admin:a must be one of enabled, draining, disabled'],
    ['url:a', 7, 'parts.url:a must be the URL of an instance'],
    ['instances', [], 'parts.instances must be a list'],
    ['instances', ['a', 'a'], 'parts.instances must be a list'],
    ['instances', ['a', 'a b'], 'parts.instances must be a list'],
  ])('%s: %j is named', (part, value, message) => {
    expect(wrongPart({ ...VALID, [part]: value })).toContain(message);
  });

  test('is none of those that the configuration itself has', () => {
    const { config } = loadConfig({
      text: `pools:
  - { name: one, failback: at 03:30, failbackZone: Europe/Berlin, instances: [{ id: a, url: 'http://h:1', weight: 0 }] }
  - { name: two, match: { paths: [/two] }, mode: sticky, anonymous: address, instances: [{ id: a, url: 'https://h', weight: 1000, priority: 1000 }] }`,
      env: {},
    });
    for (const pool of config.pools) {
      const parts = poolParts(pool, config);
      expect([wrongPart(parts), unknownParts(parts)]).toEqual([undefined, []]);
    }
  });

  test('is one that the schema of the configuration refuses too', () => {
    const { weight, priority } = poolSchema.properties.instances.items.properties;
    expect(weight).toMatchObject({ type: 'number', minimum: 0, maximum: 1_000 });
    expect(priority).toMatchObject({ type: 'integer', minimum: 1, maximum: 1_000 });
  });

  test('with a name that no part has is told as unknown', () => {
    expect(unknownParts({ ...VALID, quorun: 'all', 'wieght:a': 1, 'identity.order': [] })).toEqual([
      'quorun',
      'wieght:a',
    ]);
  });
});
