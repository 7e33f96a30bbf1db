import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openBrowser } from './browser.ts';
import { Console } from './console.ts';
import { Stage } from './stage.ts';

/** What the pages say while something is away. Gateways, Redis and connectors are really stopped. */

let browser: Browser;
let stage: Stage;
const opened: Console[] = [];

// The gateways with the numbers 1 and 2 are for tests that end them.
beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start({ gateways: 3 })]);
  await stage.bind(['MILLER']);
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});
afterAll(async () => {
  await browser.close();
  await stage.close();
});

async function open(hash = '#/', gateway = 0): Promise<Console> {
  const ui = await Console.open(browser, stage, hash, { gateway });
  opened.push(ui);
  await ui.loaded();
  return ui;
}

test('a slow answer shows the outline of what comes, and no empty table', async () => {
  const ui = await open();
  await ui.page.route('**/pools/ici/agents?*', () => undefined);
  await ui.follow('#/agents?pool=ici');
  await ui.panelIs('agents', 'loading');
  expect(await ui.panel('agents').getAttribute('aria-busy')).toBe('true');
  expect(await ui.panel('agents').innerText()).not.toContain('No agent');
});

describe('while its gateway does not answer', () => {
  test('the last state stays, greyed, with its age, and nothing jumps; then it is there again', async () => {
    const ui = await open();
    await ui.card('a').first().waitFor();
    const place = () => ui.card('a').first().boundingBox();
    stage.gateway().signal('SIGSTOP');
    try {
      // From now on no other data comes.
      const before = await place();
      await ui.panelIs('instances', 'stale');
      expect(await ui.panel('instances').innerText()).toMatch(/\d+ s old/);
      const verdict = ui.page.locator('[data-testid="verdict"][data-level="unknown"]');
      await verdict.waitFor();
      expect(await verdict.innerText()).toContain('Not known');
      expect(await ui.card('a').first().isVisible()).toBe(true);
      // A line of text above may say why; the cards keep their column and size.
      const after = await place();
      expect([after?.x, after?.width, after?.height]).toEqual([before?.x, before?.width, before?.height]);
    } finally {
      stage.gateway().signal('SIGCONT');
    }
    await ui.panelIs('instances', 'ready');
  });

  test('a page that is opened says so, and what to do', async () => {
    const ui = await open('#/agents', 1);
    await stage.gateway(1).kill();
    await ui.follow('#/events');
    await ui.panelIs('events', 'error');
    const text = await ui.panel('events').innerText();
    expect(text).toMatch(/the gateway does not answer/i);
    expect(text).toMatch(/another gateway/);
    // The others say that it is silent, and for how long, as the command does.
    const other = await open();
    const { replica } = (await stage.ask('GET', '/gateways')).body.gateways[1];
    const row = other.page.locator(`[data-testid="gateway-row"][data-replica="${replica}"]`);
    await row.filter({ hasText: /silent\s+seen \d+ s ago, was Running/ }).waitFor();
    const { gateways } = JSON.parse(await stage.did(['admin', 'gateways']));
    expect(gateways[1]).toMatchObject({ replica, silent: true, state: 'Running' });
  });

  test('lists that depend on a status that never came say so too', async () => {
    const ui = await Console.open(browser, stage, null);
    opened.push(ui);
    await ui.page.route(/\/status(\/stream)?$/, (route) => route.abort('connectionrefused'));
    for (const list of ['agents', 'events']) {
      await ui.goto(`#/${list}`);
      await ui.panelIs(list, 'error');
    }
  });

  test('an act fails with the advice to look before it is repeated', async () => {
    const ui = await open('#/gateway', 2);
    await ui.begin(ui.id('act-maintenance-on'));
    await ui.id('confirm-why').fill('test');
    await stage.gateway(2).kill();
    await ui.id('confirm-ok').click();
    await ui.acted('failed');
    expect(await ui.page.locator('dialog [role="alert"]').innerText()).toContain('outcome is not known');
  });
});

describe('while Redis does not answer', () => {
  test('known state stays, lists say that the store is away, and recover', async () => {
    const ui = await open();
    await stage.redis.kill();
    const verdict = ui.page.locator('[data-testid="verdict"]', { hasText: 'store is away' });
    await verdict.waitFor();
    await ui.id('alarm').first().waitFor();
    await ui.follow('#/agents?pool=ici');
    await ui.panelIs('agents', 'error');
    expect(await ui.panel('agents').innerText()).toMatch(/store/i);
    await ui.follow('#/agents/ici/MILLER');
    await ui.panelIs('agent', 'error');
    await stage.redis.start();
    await eventually(async () =>
      expect((await stage.pool('ici')).affinity.available, 'the store is not back').toBe(true),
    );
    await ui.follow('#/');
    await ui.page.locator('[data-testid="verdict"]:not(:has-text("store is away"))').waitFor();
  });

  test('the list of gateways is partial and says why', async () => {
    const ui = await open();
    await stage.redis.kill();
    await ui.page.locator('[data-testid="panel-gateways"]:not([data-state="ready"])').waitFor();
    await eventually(async () => expect(await ui.panel('gateways').innerText()).toMatch(/store/i));
    await stage.redis.start();
  });
});
