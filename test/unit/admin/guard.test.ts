import Fastify from 'fastify';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { Access } from '../../../src/admin/auth/access.ts';
import { guard } from '../../../src/admin/auth/guard.ts';
import { SecurityLog } from '../../../src/admin/auth/security-log.ts';
import { accessWith } from '../../support/access.ts';
import { bareAdminServer } from '../../support/admin-server.ts';

const SILENT = pino({ level: 'silent' });
const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

test('a route that does not say which role it needs cannot be added', () => {
  const server = Fastify();
  opened.push(server);
  guard(server, new Access(accessWith('token')), new SecurityLog(SILENT));
  server.get('/open', { config: { role: 'public' } }, async () => 'ok');
  expect(() => server.get('/forgotten', async () => 'secret')).toThrow(
    'GET /forgotten says not which role it needs',
  );
});

test('without users and tokens other hosts get only what is public', async () => {
  const server = bareAdminServer({ access: { ...accessWith(''), tokens: undefined } });
  opened.push(server);
  const status = async (url: string, remoteAddress: string) =>
    (await server.inject({ url, remoteAddress, headers: { host: '10.0.0.1:9090' } })).statusCode;
  for (const peer of ['127.0.0.1', '::ffff:127.0.0.1', '::1'])
    expect(await status('/config', peer), peer).toBe(200);
  for (const peer of ['10.0.0.9', '::ffff:10.0.0.9', '2001:db8::1', '128.0.0.1']) {
    expect(await status('/config', peer), peer).toBe(403);
    expect(await status('/livez', peer), peer).toBe(200);
  }
});

test('the security log keeps the last 500 entries, and a repeated refusal once', () => {
  const log = new SecurityLog(SILENT);
  log.recordOnce({ kind: 'forbidden', source: '10.0.0.1', outcome: '403', why: 'no' });
  log.recordOnce({ kind: 'forbidden', source: '10.0.0.1', outcome: '403', why: 'no' });
  log.recordOnce({ kind: 'forbidden', source: '10.0.0.2', outcome: '403', why: 'no' });
  expect(log.entries()).toMatchObject([
    { source: '10.0.0.2' },
    { source: '10.0.0.1', user: null, act: null },
  ]);
  for (let i = 0; i < 1_200; i += 1) log.record({ kind: 'act', source: 'x', outcome: String(i) });
  expect(log.entries()).toHaveLength(500);
  expect(log.entries(2)).toMatchObject([{ outcome: '1199' }, { outcome: '1198' }]);
});
