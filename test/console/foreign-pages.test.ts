import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { openBrowser } from './browser.ts';
import { Console } from './console.ts';
import { Stage } from './stage.ts';

/** What pages of others try, in a real browser whose user is logged in as an administrator. */

let browser: Browser;
let stage: Stage;
let attacker: Server;
let attackerPort: number;
let html = '';
const opened: Console[] = [];

beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start({ gateways: 1 })]);
  attacker = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(html));
  await new Promise<void>((resolve) => {
    attacker.listen(0, '127.0.0.1', resolve);
  });
  attackerPort = (attacker.address() as AddressInfo).port;
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.context.close();
});
afterAll(async () => {
  await browser.close();
  await stage.close();
  await new Promise((resolve) => attacker.close(resolve));
});

async function loggedIn(): Promise<Console> {
  const one = await Console.open(browser, stage);
  opened.push(one);
  await one.loaded();
  return one;
}

const disable = (): string => `${stage.gateway().adminUrl}/pools/ici/instances/b/disable`;
const isUntouched = async (): Promise<void> =>
  expect((await stage.instance('ici', 'b')).admin).toBe('enabled');

// Another port of the same address is the same site for cookies: they are sent along, so the header must refuse.
test.each(['127.0.0.1', 'localhost'])(
  'a page of another origin at %s changes and reads nothing',
  async (host) => {
    html = `<script>
    const act = (headers) => fetch('${disable()}', { method: 'POST', credentials: 'include', headers,
      body: JSON.stringify({ why: 'attack' }) }).then((answer) => answer.status, () => 'refused');
    Promise.all([
      act({ 'content-type': 'text/plain' }),
      act({ 'content-type': 'application/json' }),
      act({ 'content-type': 'application/json', 'x-ici-gateway': 'console' }),
      fetch('${stage.gateway().adminUrl}/status', { credentials: 'include' }).then((a) => a.text(), () => 'refused'),
    ]).then((all) => { document.title = 'done ' + JSON.stringify(all); });
  </script>`;
    const { page } = await loggedIn();
    await page.goto(`http://${host}:${attackerPort}/`);
    await page.waitForFunction('document.title.startsWith("done")');
    expect(JSON.parse((await page.title()).slice('done '.length))).toEqual(Array(4).fill('refused'));
    await isUntouched();
  },
);

test('a form that another page posts changes nothing', async () => {
  html = `<form method="post" enctype="text/plain" action="${disable()}">
    <input name='{"why":"attack","x":"' value='"}'></form>
    <script>document.forms[0].submit()</script>`;
  const { page } = await loggedIn();
  const answer = page.waitForResponse((response) => response.url() === disable());
  await page.goto(`http://127.0.0.1:${attackerPort}/`, { waitUntil: 'commit' });
  expect((await answer).status()).toBeGreaterThanOrEqual(400);
  await isUntouched();
});

test('a name that an attacker lets point to this machine is refused, with the remedy', async () => {
  const { page, url } = await loggedIn();
  const { port } = new URL(url);
  const answer = await page.goto(`http://attacker.rebound.test:${port}/status`);
  expect(answer?.status()).toBe(421);
  expect(await page.locator('body').innerText()).toContain('admin.hosts');
});

test('no page of another site can show the console in a frame', async () => {
  html = `<iframe src="${stage.gateway().adminUrl}/" onload="document.title = 'loaded'"></iframe>`;
  const { page } = await loggedIn();
  await page.goto(`http://127.0.0.1:${attackerPort}/`);
  await page.waitForFunction('document.title === "loaded"');
  const frame = page.frames().find((one) => one !== page.mainFrame());
  expect(frame?.url()).not.toContain(stage.gateway().adminUrl);
});

test('the cookie alone, without the header of the console, changes nothing', async () => {
  const { context } = await loggedIn();
  const answer = await context.request.post(disable(), { data: { why: 'attack' } });
  expect(answer.status()).toBe(403);
  await isUntouched();
});

test('the console loads nothing from elsewhere', async () => {
  const one = await Console.open(browser, stage, '#/');
  opened.push(one);
  const asked: string[] = [];
  one.page.on('request', (request) => asked.push(request.url()));
  await one.page.reload();
  await one.loaded();
  expect(asked.filter((url) => !url.startsWith(one.url) && !url.startsWith('data:'))).toEqual([]);
  expect(one.errors).toEqual([]);
});
