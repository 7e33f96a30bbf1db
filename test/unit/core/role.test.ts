import { expect, test } from 'vitest';
import type { RequiredRole, Role } from '../../../src/core/role.ts';
import { mayUse } from '../../../src/core/role.ts';

const REQUIRED: readonly RequiredRole[] = ['public', 'viewer', 'operator', 'admin'];

test.each<[Role | undefined, readonly RequiredRole[]]>([
  [undefined, ['public']],
  ['viewer', ['public', 'viewer']],
  ['operator', ['public', 'viewer', 'operator']],
  ['admin', ['public', 'viewer', 'operator', 'admin']],
])('the role %s may use routes for %j', (role, allowed) => {
  expect(REQUIRED.filter((required) => mayUse(required, role))).toEqual(allowed);
});
