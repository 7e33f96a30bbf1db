import { describe, expect, test } from 'vitest';
import { isGatewayEntry, listGateways } from '../../../src/core/gateways.ts';
import { entryOf } from '../../support/gateway-entry.ts';
import { aPoolStatus } from '../../support/instance-status.ts';

describe('the list of gateways', () => {
  test('has the asked gateway first, with its present entry, and the others by name', () => {
    const own = entryOf('m');
    const stale = { entry: { ...own, state: 'Starting' as const }, seenAgoMs: 1_900 };
    const others = ['z', 'b'].map((replica) => ({ entry: entryOf(replica), seenAgoMs: 100 }));
    const listed = listGateways(own, [stale, ...others], []);
    expect(listed.map(({ replica, self, state }) => [replica, self, state])).toEqual([
      ['m', true, 'Running'],
      ['b', false, 'Running'],
      ['z', false, 'Running'],
    ]);
  });

  test('counts the silence of a gateway against its lease, which it has not shown to renew', () => {
    const [, late, silent] = listGateways(
      entryOf('a'),
      [
        { entry: entryOf('late'), seenAgoMs: 1_500 },
        { entry: entryOf('silent'), seenAgoMs: 14_200 },
      ],
      [],
    );
    expect([late?.seenSecondsAgo, late?.pools[0]?.leaseRemainingMs]).toEqual([1, 1_000]);
    expect([silent?.seenSecondsAgo, silent?.pools[0]?.leaseRemainingMs]).toEqual([14, 0]);
  });
});

describe('a gateway that tells nothing for 6 s', () => {
  test.each([
    [0, false],
    [5_999, false],
    [6_000, true],
    [59_000, true],
  ])('after %i ms is marked as silent: %s', (seenAgoMs, silent) => {
    const [own, other] = listGateways(entryOf('a'), [{ entry: entryOf('b'), seenAgoMs }], []);
    expect([own?.silent, other?.silent]).toEqual([false, silent]);
  });

  test('is not one that only the view store knows', () => {
    const pool = aPoolStatus({
      replicas: [{ replica: 'earlier', abstains: false, down: [], relayAt: null }],
    });
    const [, earlier] = listGateways(entryOf('a'), [], [pool]);
    expect(earlier).toMatchObject({ replica: 'earlier', silent: false, state: null });
  });
});

test('the address at which a gateway takes relayed requests comes from its health report in any pool', () => {
  const replica = (name: string, relayAt: string | null) => ({
    ...{ replica: name, abstains: false, down: [], relayAt },
  });
  const pools = [
    aPoolStatus({ replicas: [replica('a', null), replica('b', '10.0.0.2:8010')] }),
    aPoolStatus({ replicas: [replica('a', '10.0.0.1:8010'), replica('c', null)] }),
  ];
  const lines = listGateways(entryOf('a'), [{ entry: entryOf('b'), seenAgoMs: 0 }], pools);
  expect(lines.map(({ replica: name, relayAt }) => [name, relayAt])).toEqual([
    ['a', '10.0.0.1:8010'],
    ['b', '10.0.0.2:8010'],
    ['c', null],
  ]);
});

describe('an entry of the registry', () => {
  test('may have fields of a later release', () => {
    expect(
      isGatewayEntry({
        ...entryOf('a'),
        region: 'north',
        pools: entryOf('a').pools.map((pool) => ({ ...pool, agents: 7 })),
      }),
    ).toBe(true);
  });

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'gateway'],
    ['an empty object', {}],
    ['one without pools', { ...entryOf('a'), pools: undefined }],
    ['one with a pool that is none', { ...entryOf('a'), pools: [null] }],
    ['one with a number for a name', { ...entryOf('a'), replica: 7 }],
    ['one with a list for an address', { ...entryOf('a'), admin: [] }],
  ])('is not %s', (_, value) => {
    expect(isGatewayEntry(value)).toBe(false);
  });
});
