import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openBrowser } from './browser.ts';
import { Console } from './console.ts';
import { Stage } from './stage.ts';
import type { UserName } from './users.ts';
import { passwordOf, ROLE_OF } from './users.ts';

let browser: Browser;
let stage: Stage;
const opened: Console[] = [];

beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start({ gateways: 1 })]);
  await stage.bind(['MILLER']);
});
afterEach(async () => {
  stage.setUsers(Object.keys(ROLE_OF) as UserName[]);
  for (const one of opened.splice(0)) await one.close();
});
afterAll(async () => {
  await browser.close();
  await stage.close();
});

async function open(...[hash, options]: [hash?: string, options?: Parameters<typeof Console.open>[3]]) {
  const one = await Console.open(browser, stage, hash, options);
  opened.push(one);
  return one;
}

describe('the log-in', () => {
  test('opens the page that was asked for, and says who is logged in', async () => {
    const one = await open('#/agents/ici/MILLER', { user: null });
    await one.id('page-login').waitFor();
    await type(one, 'otto', passwordOf('otto'));
    await one.id('page-agent').waitFor();
    expect(await one.id('user').innerText()).toBe('otto (operator)');
  });

  test('refuses a wrong password and an unknown user in the same words', async () => {
    const one = await open('#/', { user: null });
    await type(one, 'otto', 'wrong');
    const wrong = await one.id('login-problem').innerText();
    await type(one, 'no-such-user', 'wrong');
    // What was typed as the user stays, the password does not.
    await eventually(async () => expect(await one.id('login-password').inputValue()).toBe(''));
    expect(await one.id('login-user').inputValue()).toBe('no-such-user');
    expect(await one.id('login-problem').innerText()).toBe(wrong);
  });

  test('shows nothing of the state before it', async () => {
    const one = await open('#/agents', { user: null });
    await one.id('page-login').waitFor();
    expect(await one.page.locator('body').innerText()).not.toContain('MILLER');
    expect((await one.context.request.get(`${one.url}/status`)).status()).toBe(401);
  });
});

describe('a session', () => {
  test('is in a cookie that no script can read and no other site can send', async () => {
    const one = await open();
    const [cookie] = await one.context.cookies();
    expect(cookie).toMatchObject({
      name: expect.stringMatching(/^ici-gateway-session/),
      httpOnly: true,
      sameSite: 'Strict',
    });
    expect(await one.page.evaluate('document.cookie')).toBe('');
  });

  test('ends with the log-out, also for a copy of its cookie', async () => {
    const one = await open();
    const cookies = await one.context.cookies();
    await one.id('logout').click();
    await one.id('page-login').waitFor();
    await one.context.addCookies(cookies);
    expect((await one.context.request.get(`${one.url}/status`)).status()).toBe(401);
  });

  test('ends at once for a user who is removed from the file, and the page says so', async () => {
    const one = await open('#/agents', { user: 'otto' });
    await one.id('page-agents').waitFor();
    stage.setUsers(['vera', 'ada']);
    await one.id('page-login').waitFor();
    expect(await one.id('page-login').innerText()).toContain('Your session has ended');
    expect(await one.id('login-user').inputValue()).toBe('otto');
    // Logged in again, the operator is where the session ended.
    stage.setUsers(['vera', 'ada', 'otto']);
    await type(one, 'ada', passwordOf('ada'));
    await one.id('page-agents').waitFor();
  });

  test('survives a reload of the page, and keeps what is typed into a filter', async () => {
    const one = await open('#/agents');
    await one.id('filter-prefix').fill('MIL');
    await one.page.reload();
    await one.loaded();
    expect(await one.id('filter-prefix').inputValue()).toBe('MIL');
  });
});

describe('a viewer', () => {
  test('sees every page, with buttons that say why they cannot be used', async () => {
    const one = await open('#/pools/ici', { user: 'vera' });
    await one.loaded();
    const drain = one.id('act-drain').first();
    expect(await drain.isDisabled()).toBe(true);
    expect(await drain.getAttribute('title')).toContain('operator');
    expect(await one.id('page-pool').innerText()).toContain('You can look only');
  });

  test('is refused by the gateway too, and nothing changes', async () => {
    const one = await open('#/', { user: 'vera' });
    const answer = await one.context.request.post(`${one.url}/pools/ici/instances/b/disable`, {
      data: { why: 'only to try' },
      headers: { 'x-ici-gateway': 'console' },
    });
    expect(answer.status()).toBe(403);
    expect((await stage.instance('ici', 'b')).admin).toBe('enabled');
  });
});

test('an operator may operate instances, and not stop the gateway', async () => {
  const one = await open('#/pools/ici', { user: 'otto' });
  await one.loaded();
  expect(await one.id('act-drain').first().isEnabled()).toBe(true);
  await one.follow('#/gateway');
  await one.id('page-gateway').waitFor();
  expect(await one.id('act-stop').isDisabled()).toBe(true);
  expect(await one.id('act-maintenance-on').isEnabled()).toBe(true);
});

test('without users the console answers this machine, and says why nothing can be changed', async () => {
  const open = await Stage.start({ gateways: 1, users: [] });
  try {
    const one = await Console.open(browser, open, '#/pools/ici', { user: null });
    await one.loaded();
    expect(await one.id('act-drain').first().isDisabled()).toBe(true);
    expect(await one.id('page-pool').innerText()).toContain('admin.passwordFile');
    await one.close();
  } finally {
    await open.close();
  }
});

async function type(one: Console, user: string, password: string): Promise<void> {
  await one.id('login-user').fill(user);
  await one.id('login-password').fill(password);
  await one.id('login-ok').click();
}
