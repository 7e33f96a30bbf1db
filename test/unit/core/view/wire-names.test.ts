import { expect, test } from 'vitest';
import type { Replica } from '../../../../src/core/view/replica.ts';
import { snapshotOf } from '../../../../src/core/view/routing-state-copy.ts';
import { Agreement } from '../../../support/agreement.ts';

// During an upgrade the controller and the workers of a gateway run two releases.
test('the routing state goes to workers under the names that the last release reads', () => {
  const [replica] = new Agreement({ instances: ['a'] }).replicas;
  expect(Object.keys(snapshotOf(replica as Replica)).sort()).toEqual([
    'agreedEpoch',
    'before',
    'candidates',
    'claimFailure',
    'cutOff',
    'failing',
    'fence',
    'hearsStore',
    'isBlocked',
    'isDrifted',
    'leaseEnd',
    'placesAlike',
    'placesAlone',
    'relays',
    'unreachable',
    'view',
    'viewId',
  ]);
});
