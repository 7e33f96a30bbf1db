import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openBrowser } from './browser.ts';
import { Console } from './console.ts';
import { Stage } from './stage.ts';

const WITHIN_MS = 2_000;
// A busy machine delays the browser, which says nothing about the gateways: the quickest of some tries counts.
const MOST_TRIES = 4;

let browser: Browser;
let stage: Stage;
let first: Console;
let second: Console;

beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start()]);
  await stage.bind(['MILLER', 'SMITH', 'JONES', 'BROWN']);
});
afterEach(async () => {
  await first.close();
  await second.close();
});
afterAll(async () => {
  await browser.close();
  await stage.close();
});

async function openBoth(hash: string): Promise<void> {
  first = await Console.open(browser, stage, hash, { gateway: 0, user: 'ada' });
  second = await Console.open(browser, stage, hash, { gateway: 1, user: 'otto' });
  await first.loaded();
  await second.loaded();
}

async function untilBothShow(selector: string): Promise<void> {
  for (const ui of [first, second]) await ui.page.locator(selector).first().waitFor();
}

/**
 * Acts until both consoles show in time what the act has changed; each time they must show it.
 *
 * @param act resolves when the gateway has answered; the result is what both show then
 */
async function shownInTime(act: () => Promise<string>): Promise<void> {
  const took: number[] = [];
  while (took.length < MOST_TRIES && !took.some((ms) => ms < WITHIN_MS)) {
    const selector = await act();
    const at = performance.now();
    await untilBothShow(selector);
    took.push(performance.now() - at);
  }
  expect(Math.min(...took)).toBeLessThan(WITHIN_MS);
}

/** Confirms the act in the dialog of the first console; resolves when its gateway has answered. */
async function confirm(why: string): Promise<void> {
  await first.id('confirm-why').fill(why);
  await Promise.all([
    first.page.waitForResponse((response) => response.request().method() === 'POST'),
    first.id('confirm-ok').click(),
  ]);
}

test.each([
  ['drain', 'draining', 'enable', 'enabled'],
  ['disable', 'disabled', 'enable', 'enabled'],
  ['enable', 'up', 'disable', 'disabled'],
])('after %s both consoles show the instance as %s within 2 s', async (verb, word, before, admin) => {
  const wordBefore = admin === 'enabled' ? 'up' : admin;
  await openBoth('#/pools/ici');
  const inState = (state: string): string =>
    `[data-testid="instance-card"][data-instance="b"][data-state="${state}"]`;
  await shownInTime(async () => {
    // Done again it would change the view, and nothing that can be waited for.
    if ((await stage.instance('ici', 'b')).admin !== admin)
      await stage.did(['admin', before, 'ici', 'b', '--why', 'preparation']);
    await untilBothShow(inState(wordBefore));
    await first.begin(first.page.locator(inState(wordBefore)).getByTestId(`act-${verb}`));
    await confirm('to be seen everywhere');
    return inState(word);
  });
  await first.acted('in effect');
  // All that the two show of the pool is the same, but for how soon their own probes were answered.
  const state = async (ui: Console): Promise<string[]> =>
    (await ui.id('instance-card').allInnerTexts()).map((text) => text.replace(/^answers half .*$/m, ''));
  await eventually(async () => expect(await state(first)).toEqual(await state(second)));
});

test('after a move both consoles say where the agent is, and who moved it', async () => {
  await openBoth('#/agents/ici/MILLER');
  await shownInTime(async () => {
    const { body } = await stage.ask('GET', '/pools/ici/agents/MILLER');
    const to = body.instance === 'a' ? 'c' : 'a';
    await first.begin(first.id('act-move'));
    await first.id('confirm-instance').selectOption(to);
    await confirm('echo');
    return `[data-testid="agent-sentence"]:has-text("is on ${to} since")`;
  });
  await first.acted('in effect');
  expect(await second.id('agent-sentence').innerText()).toContain('ada');
});
