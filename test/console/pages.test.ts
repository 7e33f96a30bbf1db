import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { users } from '../support/load.ts';
import { accessibilityProblems } from './accessibility.ts';
import { openBrowser } from './browser.ts';
import type { Theme } from './console.ts';
import { Console, THEMES } from './console.ts';
import { Stage } from './stage.ts';

let browser: Browser;
let stage: Stage;
let ui: Console;

const PAGES: readonly (readonly [page: string, hash: string])[] = [
  ['overview', '#/'],
  ['agents', '#/agents?pool=ici'],
  ['agent', '#/agents/ici/MILLER'],
  ['pool', '#/pools/ici'],
  ['pool', '#/pools/phone'],
  ['drain', '#/pools/ici/drain/b'],
  ['history', '#/pools/ici/history'],
  ['gateway', '#/gateway'],
  ['events', '#/events?pool=ici'],
  ['config', '#/config'],
  ['explain', '#/explain?pool=ici&user=MILLER'],
  ['live', '#/live'],
  ['errors', '#/errors'],
];

beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start()]);
  await stage.bind(['MILLER', ...users(20, 'AGENT')]);
  await stage.searchAgents();
  // One instance that is down and one that is drained, so that alarms, signs and colours are on the pages. The deadline is
  // on another day, so it is shown with its date.
  await stage.did(['admin', 'drain', 'ici', 'b', '--deadline', '30h', '--why', 'patch of the host']);
  await stage.connector('c').behave({ mode: 'refuse' });
  for (const index of stage.gateways.keys())
    await eventually(async () => expect((await stage.instance('ici', 'c', index)).health).toBe('down'));
});
afterEach(() => ui.close());
afterAll(async () => {
  await browser.close();
  await stage.close();
});

async function open(hash: string, options: Parameters<typeof Console.open>[3] = {}): Promise<Console> {
  ui = await Console.open(browser, stage, hash, options);
  await ui.loaded();
  return ui;
}

const inThemes = PAGES.flatMap(([page, hash]) =>
  THEMES.map((theme): [string, string, Theme] => [page, hash, theme]),
);

describe('axe-core finds nothing', () => {
  test.each(inThemes)('on page %s (%s) in %s colours', async (page, hash, theme) => {
    await open(hash, { theme });
    await ui.id(`page-${page}`).waitFor();
    expect(await accessibilityProblems(ui.page)).toEqual([]);
  });

  test.each(THEMES)('at the log-in in %s colours', async (theme) => {
    await open('#/', { user: null, theme });
    await ui.id('page-login').waitFor();
    expect(await accessibilityProblems(ui.page)).toEqual([]);
  });

  test.each(THEMES)('in the dialogs in %s colours', async (theme) => {
    await open('#/pools/ici', { theme });
    await ui.begin(ui.id('act-disable').first());
    expect(await accessibilityProblems(ui.page)).toEqual([]);
    await ui.id('confirm-cancel').click();
    await ui.page.keyboard.press('?');
    await ui.page.locator('dialog.help').waitFor();
    expect(await accessibilityProblems(ui.page)).toEqual([]);
  });
});

const inWidths = PAGES.flatMap(([page, hash]) =>
  [360, 1280].map((width): [string, string, number] => [page, hash, width]),
);

test.each(inWidths)('page %s (%s) needs no horizontal scroll at %i px', async (_, hash, width) => {
  await open(hash, { width });
  expect(await ui.page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
  // A table that is wider than its page scrolls by itself, at 1,280 px none needs to.
  if (width === 1280) {
    const wide = await ui.page.evaluate(
      `[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth).length`,
    );
    expect(wide).toBe(0);
  }
});

describe('at 360 px', () => {
  test.each([
    ['live', '#/live', 'Status: '],
    ['pool', '#/pools/ici', 'Agents: '],
    ['history', '#/pools/ici/history', 'Cause: '],
    ['explain', '#/explain?pool=ici&user=MILLER', 'Rule and what it found: '],
  ])('each cell of a table of page %s says its heading', async (page, hash, heading) => {
    await open(hash, { width: 360 });
    if (page === 'explain') await ui.id('explain-ok').click();
    await ui.page.locator('.stack tbody td').first().waitFor();
    const told = await ui.page.evaluate<string[]>(
      `[...document.querySelectorAll('.stack tbody td')].map((cell) => getComputedStyle(cell, '::before').content)`,
    );
    expect(told.filter((one) => !/^"?.+: "?$/.test(one) || one === 'none')).toEqual([]);
    expect(told.join()).toContain(heading.trim());
  });

  test('the numbers beside long headings are in sight', async () => {
    await open('#/pools/ici', { width: 360 });
    await ui.panel('identity').getByText('Element that held the name').waitFor();
    const wide = await ui.page.evaluate<number>(
      `[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth).length`,
    );
    expect(wide).toBe(0);
  });

  test('the link of the page that is open is in sight', async () => {
    await open('#/config', { width: 360 });
    const link = await ui.page.locator('nav [aria-current="page"]').boundingBox();
    expect(link?.x).toBeGreaterThanOrEqual(0);
    expect((link?.x ?? 0) + (link?.width ?? 999)).toBeLessThanOrEqual(360);
  });

  test('state, find, drain and stop can be used', async () => {
    await open('#/', { width: 360 });
    expect(await ui.id('verdict').isVisible()).toBe(true);
    await ui.id('find-agent').fill('MILLER');
    await ui.page.keyboard.press('Enter');
    await ui.id('page-agent').waitFor();
    expect(await ui.id('agent-sentence').isVisible()).toBe(true);
    await ui.follow('#/pools/ici');
    const drain = ui.page.locator('[data-instance="a"]').getByTestId('act-drain');
    await drain.scrollIntoViewIfNeeded();
    await ui.begin(drain);
    const ok = await ui.id('confirm-ok').boundingBox();
    expect((ok?.x ?? 0) + (ok?.width ?? 999)).toBeLessThanOrEqual(360);
    await ui.id('confirm-cancel').click();
    await ui.follow('#/pools/phone');
    await ui.begin(ui.id('act-failback-policy'));
    expect(await ui.page.evaluate(`document.querySelector('dialog').scrollWidth`)).toBeLessThanOrEqual(360);
    const set = await ui.id('confirm-ok').boundingBox();
    expect((set?.x ?? 0) + (set?.width ?? 999)).toBeLessThanOrEqual(360);
    await ui.id('confirm-cancel').click();
    await ui.follow('#/gateway');
    await ui.id('act-stop').scrollIntoViewIfNeeded();
    await ui.begin(ui.id('act-stop'));
    await ui.id('confirm-cancel').click();
  });
});

describe('by the keyboard', () => {
  test('every page is reached with visible focus, and a new page is announced by its heading', async () => {
    await open('#/');
    await ui.page.keyboard.press('Tab');
    await ui.page.locator(':focus-visible').waitFor();
    await ui.page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Events' }).focus();
    const outline = await ui.page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
    expect(outline).not.toBe('none');
    await ui.page.keyboard.press('Enter');
    await ui.id('page-events').waitFor();
    expect(await ui.page.evaluate('document.activeElement.tagName')).toBe('H1');
    await eventually(async () => expect(await ui.page.title()).toContain('Events'));
  });

  test('an instance can be drained', async () => {
    await open('#/pools/ici');
    await ui.page.locator('[data-instance="a"]').getByTestId('act-drain').focus();
    await ui.page.keyboard.press('Enter');
    await ui.consequenceShown();
    await ui.id('confirm-why').focus();
    await ui.page.keyboard.type('by the keyboard alone');
    for (let i = 0; i < 10; i += 1) {
      await ui.page.keyboard.press('Tab');
      if ((await ui.page.evaluate('document.activeElement.dataset.testid')) === 'confirm-ok') break;
    }
    await ui.page.keyboard.press('Enter');
    await ui.acted('in effect');
    await stage.did(['admin', 'enable', 'ici', 'a', '--why', 'test']);
  });

  test('/ does not steal a slash that is typed', async () => {
    await open('#/agents?pool=ici');
    await ui.id('filter-prefix').focus();
    await ui.page.keyboard.type('a/b?');
    expect(await ui.id('filter-prefix').inputValue()).toBe('a/b?');
  });

  test('changes are spoken, and what was there when the page opened is not', async () => {
    await open('#/');
    const live = ui.page.locator('[aria-live], [role="status"], [role="alert"]');
    expect((await live.allInnerTexts()).join('').trim()).toBe('');
  });
});

test('the theme can be chosen and is kept', async () => {
  await open('#/', { theme: 'light' });
  const background = () => ui.page.evaluate('getComputedStyle(document.body).backgroundColor');
  const light = await background();
  await ui.id('theme').click();
  await ui.id('theme').click();
  expect(await background()).not.toBe(light);
  const dark = await background();
  await ui.page.reload();
  await ui.loaded();
  expect(await background()).toBe(dark);
});

test('the whole console is at most 150 KB on the wire', async () => {
  await open('#/');
  const sizes = await ui.page.evaluate<number[]>(
    `performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
      .filter(({ name }) => name.endsWith('/') || name.includes('/console/')).map((one) => one.transferSize)`,
  );
  expect(sizes.length).toBeGreaterThanOrEqual(3);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(150_000);
});
