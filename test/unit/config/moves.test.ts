import { describe, expect, test } from 'vitest';
import { changesBetween } from '../../../src/config/changes.ts';
import { movesOf } from '../../../src/config/moves.ts';
import type { Config } from '../../../src/config/schema.ts';
import type { InstanceStatus, PoolStatus } from '../../../src/core/gateway-status.ts';
import { anInstanceStatus, aPoolStatus } from '../../support/instance-status.ts';
import { load } from './support.ts';

const instance = (id: string, given: Partial<InstanceStatus> = {}): InstanceStatus =>
  anInstanceStatus({ id, ...given });

function aPool(mode: PoolStatus['mode'], instances: InstanceStatus[], active = ''): PoolStatus {
  return aPoolStatus({
    mode,
    active: mode === 'failover' ? { instance: active, since: '2026-01-01T00:00:00Z' } : null,
    failback: mode === 'failover' ? { policy: 'never', zone: null, by: 'configuration' } : null,
    instances,
  });
}

function configOf(mode: string, instances: readonly string[], more = '') {
  const lines = instances.map((text) => {
    const [id, options = ''] = text.split(':: ');
    return `      - { id: ${id}, url: 'http://${id}.example:8080'${options && `, ${options}`} }\n`;
  });
  return load(`pools:\n  - name: ici\n    mode: ${mode}\n    instances:\n${lines.join('')}${more}`).config;
}

const rebindsOf = (before: Config, after: Config) =>
  changesBetween(before, after).flatMap(({ rebinds }) => rebinds ?? []);

const BOTH = [instance('a', { boundAgents: 3 }), instance('b', { boundAgents: 4 })];
const ACTIVE_B = [instance('a', { active: false }), instance('b')];

describe('agents of a sticky pool', () => {
  const pool = aPool('sticky', BOTH);

  test('stay when instances are added, drained, or get weight 0', () => {
    const after = configOf('sticky', ['c', 'a:: weight: 0', 'b:: admin: draining']);
    expect(movesOf([pool], after)).toEqual([
      { pool: 'ici', isNew: false, boundAgents: 7, moving: 0, movesEverybody: false, instances: [] },
    ]);
  });

  test('move from an instance that is renamed', () => {
    expect(movesOf([pool], configOf('sticky', ['a', 'b2']))[0]).toMatchObject({
      moving: 4,
      instances: [{ instance: 'b', boundAgents: 4, why: 'it is removed' }],
    });
  });

  test('move from an instance that becomes disabled, unless an operator has decided otherwise', () => {
    const after = configOf('sticky', ['a', 'b:: admin: disabled']);
    expect(movesOf([pool], after)[0]).toMatchObject({ moving: 4 });
    const act = { by: 'm', why: 'w', at: '2026-01-01T00:00:00Z', deadline: null };
    const kept = aPool('sticky', [instance('a'), instance('b', { boundAgents: 4, act })]);
    expect(movesOf([kept], after)[0]).toMatchObject({ moving: 0 });
  });

  test('may all move if the mode or the identifying names change', () => {
    expect(movesOf([pool], configOf('failover', ['a', 'b']))[0]).toMatchObject({ moving: 7 });
    const before = configOf('sticky', ['a', 'b']);
    const after = configOf('sticky', ['a', 'b'], 'identity: { userHeader: x-user }\n');
    expect(movesOf([pool], after, rebindsOf(before, after))[0]).toMatchObject({ moving: 7 });
  });
});

describe('a failover pool', () => {
  const pool = aPool('failover', ACTIVE_B, 'b');

  test('stays with its active instance when others are added and removed', () => {
    expect(movesOf([pool], configOf('failover', ['c', 'b']))[0]).toMatchObject({
      movesEverybody: false,
      instances: [],
    });
  });

  test('moves with all agents when the active instance is removed', () => {
    expect(movesOf([pool], configOf('failover', ['a']))[0]).toMatchObject({
      movesEverybody: true,
      instances: [{ instance: 'b', boundAgents: 0, why: 'it is removed' }],
    });
  });

  test('moves to a preferred instance if failback becomes immediate and that instance can serve', () => {
    const immediate = '    failback: immediate\n';
    const both = configOf('failover', ['a', 'b'], immediate);
    expect(movesOf([pool], both)[0]).toMatchObject({
      movesEverybody: true,
      instances: [{ instance: 'b', why: 'failback is immediate, and a is preferred' }],
    });
    const down = aPool('failover', [instance('a', { active: false, health: 'down' }), instance('b')], 'b');
    expect(movesOf([down], both)[0]).toMatchObject({ movesEverybody: false });
    expect(movesOf([pool], configOf('failover', ['b', 'a'], immediate))[0]).toMatchObject({
      movesEverybody: false,
    });
    const byOperator: PoolStatus = { ...pool, failback: { policy: 'never', zone: null, by: 'operator' } };
    expect(movesOf([byOperator], both)[0]).toMatchObject({ movesEverybody: false });
  });

  test('ignores the names of agents and follows the agreed view', () => {
    const before = configOf('failover', ['a', 'b']);
    const names = configOf('failover', ['a', 'b'], 'identity: { userHeader: x-user }\n');
    expect(movesOf([pool], names, rebindsOf(before, names))[0]).toMatchObject({ movesEverybody: false });
    const store = configOf('failover', ['a', 'b'], 'affinity: { keyPrefix: other }\n');
    expect(movesOf([pool], store, rebindsOf(before, store))[0]).toMatchObject({ movesEverybody: true });
  });
});
