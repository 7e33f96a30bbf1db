import { expect, test, vi } from 'vitest';
import type { Logger } from '../../../src/telemetry/logger.ts';
import { warnIfOpen } from '../../../src/wiring/admin-access.ts';
import { load, MINIMAL } from '../config/support.ts';

const { admin } = load(MINIMAL).config;

test.each([
  // A service manager has chosen another address than the configuration.
  ['0.0.0.0', 'the admin port has no users and no tokens, so other hosts get only probes and metrics; '],
  ['10.0.0.1', 'the admin port has no users and no tokens'],
  ['127.0.0.1', undefined],
  ['::1', undefined],
])('a start at %s says what the admin port lacks', (address, text) => {
  const warn = vi.fn();
  warnIfOpen(admin, { address, port: 9090, family: 'IPv4' }, { warn } as unknown as Logger);
  if (text === undefined) expect(warn).not.toHaveBeenCalled();
  else expect(warn).toHaveBeenCalledExactlyOnceWith({ address, port: 9090 }, expect.stringContaining(text));
});

test('a Unix socket belongs to this host', () => {
  const warn = vi.fn();
  warnIfOpen(admin, '/run/admin.sock', { warn } as unknown as Logger);
  expect(warn).not.toHaveBeenCalled();
});
