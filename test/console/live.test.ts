import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import { openBrowser } from './browser.ts';
import { Console } from './console.ts';
import { Stage } from './stage.ts';

let browser: Browser;
let stage: Stage;
let ui: Console;

beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start({ gateways: 1 })]);
  await stage.bind(['MILLER']);
});
afterEach(() => ui.close());
afterAll(async () => {
  await browser.close();
  await stage.close();
});

const send = (user: string) => post(stage.gateways[0]?.url ?? '', user);
const rowsOf = (user: string) => ui.id('request-row').filter({ hasText: user });

test('page Live shows requests as they end; what is shown stays while it is paused', async () => {
  ui = await Console.open(browser, stage, '#/live?pool=ici', { user: 'vera' });
  await rowsOf('MILLER').first().waitFor();
  await send('SMITH');
  await rowsOf('SMITH').first().waitFor();

  await ui.id('pause').click();
  await send('JONES');
  await eventually(async () =>
    expect(await stage.did(['admin', 'requests', '--user', 'JONES'])).toContain('JONES'),
  );
  expect(await rowsOf('JONES').count()).toBe(0);
  await ui.id('pause').click();
  await rowsOf('JONES').first().waitFor();
  expect(await rowsOf('SMITH').count()).toBe(1);

  await ui.id('filter-user').fill('smith');
  await eventually(async () => expect(await ui.id('request-row').count()).toBe(1));
});

test('page Errors says what to do, and the page of an agent what happened', async () => {
  await stage.connector('a').behave({ mode: 'refuse' });
  await stage.connector('b').behave({ mode: 'refuse' });
  await stage.connector('c').behave({ mode: 'refuse' });
  const { code } = await send('MILLER');
  expect(code).toMatch(/^GW_/);
  ui = await Console.open(browser, stage, '#/errors');
  const row = ui.page.locator(`[data-testid="error-row"][data-code="${code}"]`);
  await row.waitFor();
  expect(await row.locator('a[href^="/runbook#"]').count()).toBe(1);
  await ui.follow('#/agents/ici/MILLER');
  await ui
    .id('timeline')
    .getByText(code ?? '')
    .waitFor();
});

test('page Errors says that it is not known whether there was an error while a worker has not answered', async () => {
  ui = await Console.open(browser, stage, null);
  const body = { errors: [], unnamedOperations: [], silent: ['worker-2'] };
  await ui.page.route(
    ({ pathname }) => pathname === '/errors',
    (route) => route.fulfill({ json: body }),
  );
  await ui.goto('#/errors');
  for (const name of ['errors', 'unnamed']) {
    const panel = ui.id(`panel-${name}`);
    await panel.getByText('Not known: the processes that answered had none.').waitFor();
    await panel.getByText('worker-2 did not answer, so requests are missing.').waitFor();
  }
});
