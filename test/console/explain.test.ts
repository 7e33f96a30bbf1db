import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
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
});
afterEach(() => ui.close());
afterAll(async () => {
  await browser.close();
  await stage.close();
});

test('a request is explained rule by rule, and its text stays out of the address', async () => {
  ui = await Console.open(browser, stage, '#/explain?pool=ici');
  await ui.loaded();
  expect(await ui.id('explain-ok').isDisabled()).toBe(true);
  await ui
    .id('explain-request')
    .fill('POST / HTTP/1.1\nHost: gw\nsoapuser: MILLER\nAuthorization: Basic geheim\n\n');
  await ui.id('explain-ok').click();
  await ui.id('explanation').waitFor();

  expect(await ui.id('explain-sentence').innerText()).toMatch(/MILLER goes to \w+: the agent is bound there/);
  expect(await ui.page.locator('[data-part="header"]').first().innerText()).toContain('MILLER');
  expect(await ui.page.evaluate('location.href')).not.toContain('geheim');
  expect(await ui.id('explanation').innerText()).not.toContain('geheim');
  expect(await accessibilityProblems(ui.page)).toEqual([]);
});

test('a viewer asks what happens if an instance dies, and sees what the command prints', async () => {
  ui = await Console.open(browser, stage, '#/explain?pool=ici', { user: 'vera' });
  await ui.loaded();
  await ui.id('what-if-instance').selectOption('a');
  await ui.id('what-if-ok').click();
  await ui.id('what-if-answer').waitFor();

  const told = JSON.parse(await stage.did(['admin', 'what-if', 'ici', '--instance-dies', 'a']));
  expect(await ui.id('what-if-text').innerText()).toBe(`${told.text}.`);
  expect(await ui.id('what-if-row').count()).toBe(told.instances.length);
  expect(await accessibilityProblems(ui.page)).toEqual([]);
});
