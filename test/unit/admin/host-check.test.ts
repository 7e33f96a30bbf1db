import { expect, test } from 'vitest';
import { hostCheck } from '../../../src/admin/auth/host-check.ts';

test('the admin port is known by its names and by addresses, whatever their letter case, port and last dot', () => {
  const isOwn = hostCheck(['Admin.example.com']);
  for (const host of ['admin.example.com', 'ADMIN.example.com.:8081', 'localhost.', '127.0.0.1:1', '[::1]:1'])
    expect(isOwn(host), host).toBe(true);
  for (const host of ['example.com', 'admin.example.com..', '.', undefined]) expect(isOwn(host)).toBe(false);
});
