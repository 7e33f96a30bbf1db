import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { accessibilityProblems } from './accessibility.ts';
import { openBrowser } from './browser.ts';
import { Console } from './console.ts';
import { Stage } from './stage.ts';

let browser: Browser;
let stage: Stage;
let ui: Console;

beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start()]);
  await stage.bind(['MILLER', 'SMITH', 'JONES']);
  await stage.connector('c').behave({ mode: 'refuse' });
  await eventually(async () => expect((await stage.instance('ici', 'c')).health).toBe('down'));
});
afterEach(() => ui.close());
afterAll(async () => {
  await browser.close();
  await stage.close();
});

test('a viewer sees curves and the changes of the view on one time axis, and opens the facts of a change', async () => {
  ui = await Console.open(browser, stage, '#/pools/ici/history', { user: 'vera' });
  await ui.loaded();
  const curve = ui.page.locator('.timeline [role="img"]').first();
  await curve.waitFor();
  expect(await curve.getAttribute('aria-label')).toMatch(/^Requests: now .*, at most \d/);

  const cell = ui.id('ribbon-cell').last();
  expect(await cell.getAttribute('aria-label')).toContain('c is down');
  await cell.click();
  const lost = ui.page.locator('tr[data-chosen]').filter({ hasText: 'c is down' });
  expect(await lost.innerText()).toMatch(/gateways lost an instance/);
  expect(await lost.innerText()).toMatch(/: down/);
  // After the browser has painted the row.
  await eventually(async () =>
    expect(await ui.page.evaluate(`document.activeElement.closest('tr')?.dataset.testid`)).toBe('epoch'),
  );
  expect(await accessibilityProblems(ui.page)).toEqual([]);
});

test('the shown time is part of the address', async () => {
  ui = await Console.open(browser, stage, '#/pools/ici/history');
  await ui.loaded();
  await ui.id('history-span').selectOption('24h');
  await eventually(async () =>
    expect(await ui.page.evaluate('location.hash')).toBe('#/pools/ici/history?span=24h'),
  );
  await ui.page.locator('.timeline').waitFor();
});
