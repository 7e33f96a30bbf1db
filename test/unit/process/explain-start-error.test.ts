import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { explainStartError } from '../../../src/process/explain-start-error.ts';

const { config } = loadConfig({
  env: { HOME: '/tmp' },
  text: "pools: [{ name: ici, instances: [{ id: a, url: 'http://a' }] }]",
});

/** Errors as Node makes them. */
const error = (message: string, fields: object): Error => Object.assign(new Error(message), fields);
const explained = (message: string, fields: object): string =>
  (explainStartError(error(message, fields), config) as Error).message;

test('a file of another user is no matter of ports', () => {
  const path = '/var/lib/ici-gateway/agreement-ici.json';
  const text = explained(`EACCES: permission denied, open '${path}'`, {
    code: 'EACCES',
    syscall: 'open',
    path,
  });
  expect(text).toContain(`${path} cannot be used`);
  expect(text).toContain('let the user that the gateway runs as read and write there');
  expect(text).not.toContain('port');
});

test.each([
  [443, 'choose a port above 1023'],
  [8443, 'SELinux'],
])('port %d that may not be bound has its own remedy', (port, remedy) => {
  const text = explained('listen EACCES', { code: 'EACCES', syscall: 'listen', address: '0.0.0.0', port });
  expect(text).toContain(`0.0.0.0:${port}`);
  expect(text).toContain(remedy);
});

test('an error without address and file is not explained by one', () => {
  const unknown = error('EACCES', { code: 'EACCES' });
  expect(explainStartError(unknown, config)).toBe(unknown);
});
