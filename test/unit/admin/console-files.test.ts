import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { readConsole } from '../../../src/admin/console-files.ts';
import { bareAdminServer } from '../../support/admin-server.ts';

const AUTHORIZED = { authorization: 'Bearer token' };

/** An admin server with these files in the folder of the console. */
function serverWith(files: Readonly<Record<string, string | Buffer>>) {
  const folder = mkdtempSync(join(tmpdir(), 'ici-gateway-console-'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const server = bareAdminServer({
    console: { files: readConsole(pathToFileURL(`${folder}/`)), prefixes: ['/sap/wdisp/admin'] },
  });
  onTestFinished(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  return server;
}

test('the page and the runbook are asked for again, files with a hash in their names are not', async () => {
  const server = serverWith({
    'index.html': 'page',
    'runbook.html': 'runbook',
    'main-AB12.js': 'script',
    'main-AB12.js.gz': gzipSync('script'),
  });
  const caching = async (url: string): Promise<unknown[]> => {
    const { statusCode, headers, body } = await server.inject({ url, headers: AUTHORIZED });
    return [statusCode, headers['content-type'], headers['cache-control'], body];
  };
  expect(await caching('/')).toEqual([200, 'text/html; charset=utf-8', 'no-cache', 'page']);
  expect(await caching('/runbook')).toEqual([200, 'text/html; charset=utf-8', 'no-cache', 'runbook']);
  expect(await caching('/console/main-AB12.js')).toEqual([
    200,
    'text/javascript; charset=utf-8',
    'public, max-age=31536000, immutable',
    'script',
  ]);
  const packed = await server.inject({
    url: '/console/main-AB12.js',
    headers: { 'accept-encoding': 'gzip' },
  });
  expect([packed.headers['content-encoding'], packed.rawPayload]).toEqual(['gzip', gzipSync('script')]);
});

test('the page is for everyone, who may have to log in there; the runbook is for viewers', async () => {
  const server = serverWith({ 'index.html': 'page', 'runbook.html': 'runbook' });
  const statusFrom = async (url: string): Promise<number> => (await server.inject(url)).statusCode;
  expect(await statusFrom('/')).toBe(200);
  expect(await statusFrom('/runbook')).toBe(401);
});

test('without a built console the page says what to do, and there is no runbook', async () => {
  const server = serverWith({});
  const page = await server.inject('/');
  expect([page.statusCode, page.body]).toEqual([404, 'the console is not built: run `npm run build`\n']);
  expect((await server.inject({ url: '/runbook', headers: AUTHORIZED })).statusCode).toBe(404);
  expect((await server.inject('/sap/wdisp/admin')).headers['location']).toBe('/');
});
