import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { childrenOf } from '../support/host-processes.ts';
import { openBrowser } from './browser.ts';
import { Console } from './console.ts';
import { Stage } from './stage.ts';

/** The page of one gateway, which is several processes here. */

let browser: Browser;
let stage: Stage;
let ui: Console;

beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start({ workers: 1 })]);
  await stage.bind(['MILLER']);
});
afterEach(() => ui.close());
afterAll(async () => {
  await browser.close();
  await stage.close();
});

async function open(hash = '#/gateway'): Promise<Console> {
  ui = await Console.open(browser, stage, hash);
  await ui.loaded();
  return ui;
}

const controller = (): number | undefined => childrenOf(stage.gateway().pid).controller;

describe('the page of the gateway', () => {
  test('begins and ends maintenance of this gateway alone, as the command does', async () => {
    await open();
    await ui.begin(ui.id('act-maintenance-on'));
    await ui.id('confirm-why').fill('new release');
    const on = await ui.shownCommand();
    await ui.id('confirm-ok').click();
    await ui.acted('in effect');
    expect((await stage.status()).state).toBe('Maintenance');
    expect((await stage.status(1)).state).toBe('Running');
    await ui.begin(ui.id('act-maintenance-off'));
    await ui.id('confirm-why').fill('done');
    const off = await ui.shownCommand();
    await ui.id('confirm-ok').click();
    await eventually(async () => expect((await stage.status()).state).toBe('Running'));
    await stage.did(on.slice(1));
    expect((await stage.status()).state).toBe('Maintenance');
    await stage.did(off.slice(1));
    await eventually(async () => expect((await stage.status()).state).toBe('Running'));
  });

  test('shows what a reload would change, or what is wrong with the file, before it', async () => {
    const configure = (timeouts: Record<string, string>): void =>
      stage.gateway().configure({ ...stage.config(), coordination: { replica: 'gateway-1' }, timeouts });
    configure({ park: '4s' });
    await open();
    const preview = ui.id('reload-preview');
    await eventually(async () => expect(await preview.innerText()).toContain('timeouts.park'));
    configure({ park: 'soon' });
    try {
      await ui.page.reload();
      await eventually(async () =>
        expect(await preview.innerText()).toMatch(/refused[\s\S]*timeouts\.park: must be/),
      );
    } finally {
      configure({});
    }
  });

  test.each(['reload', 'restart'])(
    '%s replaces the processes one by one, as the command does',
    async (verb) => {
      await open();
      const replaced = (before: number | undefined): Promise<void> =>
        // The controller, which answers this page, is replaced last.
        eventually(() => expect([before, undefined]).not.toContain(controller()), { within: 30_000 });
      const first = controller();
      await ui.begin(ui.id(`act-${verb}`));
      await ui.id('confirm-why').fill('new release');
      const command = await ui.shownCommand();
      await ui.id('confirm-ok').click();
      // Said as soon as the workers are replaced, and for a while only.
      await ui.acted('in effect');
      await replaced(first);
      // The page finds its gateway again, and does not take the end of the old process for a failure.
      await ui.panelIs('gateway', 'ready');
      expect(await ui.page.locator('[data-state="failed"]').count()).toBe(0);
      const second = controller();
      await stage.did(command.slice(1));
      await replaced(second);
    },
  );

  test('stops the gateway softly; the other gateway serves on, and its console shows the loss', async () => {
    await open();
    await ui.begin(ui.id('act-stop'));
    expect(await ui.id('confirm-consequence').innerText()).toContain('1 other gateway runs');
    await ui.id('confirm-why').fill('patch of the host');
    await ui.id('confirm-ok').click();
    await ui.acted('in effect');
    await ui.panelIs('gateway', 'stale');
    const other = await Console.open(browser, stage, '#/', { gateway: 1 });
    await other.loaded();
    await eventually(async () => {
      const rows = await other.id('gateway-row').allInnerTexts();
      expect(rows.filter((text) => text.includes('Running')).length).toBe(1);
    });
    expect((await stage.bind(['MILLER'], '', 1)).get('MILLER')).toBeDefined();
    await other.close();
  });
});
