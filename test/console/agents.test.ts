import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { users } from '../support/load.ts';
import { openBrowser } from './browser.ts';
import { Console } from './console.ts';
import { Stage } from './stage.ts';

let browser: Browser;
let stage: Stage;
let places: Map<string, string>;
const opened: Console[] = [];

beforeAll(async () => {
  [browser, stage] = await Promise.all([openBrowser(), Stage.start()]);
  places = await stage.bind(['MILLER', ...users(120, 'AGENT'), ...users(3, 'SMITH')]);
});
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});
afterAll(async () => {
  await browser.close();
  await stage.close();
});

async function open(hash: string, gateway = 0): Promise<Console> {
  const ui = await Console.open(browser, stage, hash, { gateway });
  opened.push(ui);
  await ui.loaded();
  return ui;
}

const names = (ui: Console): Promise<string[]> =>
  ui.id('agent-row').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-agent') ?? ''));

describe('find agent', () => {
  test.each(['#/', '#/agents', '#/pools/ici', '#/gateway', '#/events', '#/config'])(
    'answers on %s with the sentence of the command line',
    async (hash) => {
      const ui = await open(hash);
      await ui.page.keyboard.press('/');
      await ui.page.keyboard.type('MILLER');
      await ui.page.keyboard.press('Enter');
      await ui.id('page-agent').waitFor();
      const { sentence } = JSON.parse(await stage.did(['admin', 'agent', 'MILLER', '--pool', 'ici'], 1));
      await eventually(async () => expect(await ui.id('agent-sentence').innerText()).toBe(sentence));
      expect(sentence).toContain(`MILLER is on ${places.get('MILLER')} since`);
    },
  );

  test('waits for the first status, which says where to ask', async () => {
    const ui = await Console.open(browser, stage, null);
    opened.push(ui);
    let answer = (): void => undefined;
    const isTime = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await ui.page.route(/\/status(\/stream)?$/, async (route) => {
      await isTime;
      await route.continue();
    });
    await ui.goto('#/config');
    await ui.id('find-agent').fill('MILLER');
    await ui.page.keyboard.press('Enter');
    answer();
    await ui.id('page-agent').waitFor();
  });

  test('takes the name in any case, and offers names while it is typed', async () => {
    const ui = await open('#/');
    await ui.id('find-agent').fill('smith');
    const options = ui.page.getByRole('option');
    await options.nth(2).waitFor();
    const second = await options.nth(1).locator('code').innerText();
    await ui.page.keyboard.press('ArrowDown');
    await ui.page.keyboard.press('ArrowDown');
    await ui.page.keyboard.press('Enter');
    await ui.id('page-agent').waitFor();
    expect(ui.page.url()).toContain(`#/agents/ici/${second}`);
  });

  test('says of an unknown name what that means', async () => {
    const ui = await open('#/');
    await ui.id('find-agent').fill('NOT-THERE');
    await ui.page.keyboard.press('Enter');
    await ui.id('find-answer').waitFor();
    expect(await ui.id('find-answer').innerText()).toContain('NOT-THERE is not bound');
    // What was typed stays; Esc closes the answer.
    expect(await ui.id('find-agent').inputValue()).toBe('NOT-THERE');
    await ui.page.keyboard.press('Escape');
    await ui.id('find-answer').waitFor({ state: 'detached' });
    // The next name replaces it.
    await ui.page.locator('h1').click();
    await ui.page.keyboard.press('/');
    await ui.page.keyboard.type('OTHER');
    expect(await ui.id('find-agent').inputValue()).toBe('OTHER');
  });
});

describe('the table of agents', () => {
  test('shows what the command line lists', async () => {
    const ui = await open('#/agents?pool=ici&prefix=SMITH');
    const { agents } = JSON.parse(await stage.did(['admin', 'agents', 'ici', '--prefix', 'SMITH'], 1));
    expect(await names(ui)).toEqual(agents.map(({ name }: { readonly name: string }) => name).toSorted());
    expect(await names(ui)).toEqual(['SMITH1', 'SMITH2', 'SMITH3']);
  });

  test('has its filters in the address, and Back returns to them', async () => {
    const ui = await open('#/agents?pool=ici');
    await ui.id('filter-prefix').fill('SMITH');
    await ui.id('filter-instance').selectOption(places.get('SMITH1') ?? '');
    await eventually(async () => expect(await names(ui)).toContain('SMITH1'));
    const address = ui.page.url();
    expect(new URLSearchParams(address.split('?')[1]).get('prefix')).toBe('SMITH');
    const expected = ['SMITH1', 'SMITH2', 'SMITH3'].filter(
      (name) => places.get(name) === places.get('SMITH1'),
    );
    await eventually(async () => expect(await names(ui)).toEqual(expected));
    await ui.page.getByText('SMITH1', { exact: true }).click();
    await ui.id('page-agent').waitFor();
    await ui.page.goBack();
    await ui.id('page-agents').waitFor();
    expect(ui.page.url()).toBe(address);
    await eventually(async () => expect(await names(ui)).toEqual(expected));
  });

  test('lists all agents page by page, each once', async () => {
    const ui = await open('#/agents?pool=ici');
    const seen: string[] = [];
    for (;;) {
      await ui.panelIs('agents', 'ready');
      seen.push(...(await names(ui)));
      const next = ui.id('next-page');
      if ((await next.count()) === 0) break;
      const [before] = await names(ui);
      await next.click();
      await eventually(async () => expect((await names(ui))[0]).not.toBe(before));
    }
    expect(seen.toSorted()).toEqual([...places.keys()].toSorted());
  });

  test('can be sorted, downwards too, by the keyboard', async () => {
    const ui = await open('#/agents?pool=ici&prefix=SMITH');
    const head = ui.page.getByRole('columnheader', { name: 'Agent' }).getByRole('button');
    await head.focus();
    await ui.page.keyboard.press('Enter');
    await eventually(async () => expect(await names(ui)).toEqual(['SMITH3', 'SMITH2', 'SMITH1']));
    expect(ui.page.url()).toContain('sort=');
  });

  test('says if no agent fits', async () => {
    const ui = await open('#/agents?pool=ici&prefix=NO-SUCH-AGENT');
    await ui.panelIs('agents', 'empty');
  });

  test('moves from row to row by the arrow keys, and opens one by Enter', async () => {
    const ui = await open('#/agents?pool=ici&prefix=SMITH');
    await ui.page.getByRole('link', { name: 'SMITH1' }).focus();
    await ui.page.keyboard.press('ArrowDown');
    await ui.page.keyboard.press('Enter');
    await ui.id('page-agent').waitFor();
    expect(ui.page.url()).toContain('SMITH2');
  });

  test('keeps the focus and what is typed while it is refreshed', async () => {
    const ui = await open('#/agents?pool=ici');
    const answered = ui.page.waitForResponse((response) => response.url().includes('prefix=SM'));
    await ui.id('filter-prefix').pressSequentially('SM');
    await answered;
    await ui.id('filter-prefix').pressSequentially('ITH3');
    await eventually(async () => expect(await names(ui)).toEqual(['SMITH3']));
    expect(await ui.id('filter-prefix').inputValue()).toBe('SMITH3');
  });
});

describe('the page of an agent', () => {
  test('copies the link and the command, and the command gives the same answer', async () => {
    const ui = await open('#/agents/ici/MILLER');
    await ui.id('copy-link').click();
    await eventually(async () => expect(await clipboard(ui)).toBe(ui.page.url()));
    await ui.id('copy-command').click();
    const words = await eventually(async () => {
      const copied = (await clipboard(ui)).split(' ');
      expect(copied[0]).toBe('ici-gateway');
      return copied;
    });
    const { sentence } = JSON.parse(await stage.did(words.slice(1)));
    expect(await ui.id('agent-sentence').innerText()).toBe(sentence);
  });

  test('shows times in the zone of the browser or in UTC, and copies them as ISO', async () => {
    const ui = await open('#/agents/ici/MILLER');
    const time = ui.panel('agent').locator('time').first();
    expect(await time.innerText()).toMatch(/\+0[12]:00/);
    await ui.id('zone').click();
    await eventually(async () => expect(await time.innerText()).toContain('UTC'));
    const iso = await time.getAttribute('datetime');
    await eventually(async () => {
      // The text changes each second, and with it the selection may end.
      await time.selectText();
      await ui.page.keyboard.press('ControlOrMeta+c');
      expect(await clipboard(ui)).toBe(iso);
    });
  });

  test('says so if the agent is not bound', async () => {
    const ui = await open('#/agents/ici/NOT-THERE');
    await eventually(async () =>
      expect(await ui.id('agent-sentence').innerText()).toContain('NOT-THERE is not bound'),
    );
    // There is nothing to move or to forget.
    expect(await ui.page.locator('[data-testid^="act-"]:enabled').count()).toBe(0);
  });

  test('shows a name that looks like markup as text', async () => {
    const name = '<img src=x onerror=alert(1)>';
    const ui = await open(`#/agents/ici/${encodeURIComponent(name)}`);
    await eventually(async () => expect(await ui.id('agent-sentence').innerText()).toContain(name));
    expect(await ui.page.locator('img').count()).toBe(0);
  });
});

function clipboard(ui: Console): Promise<string> {
  return ui.page.evaluate<string>('navigator.clipboard.readText()');
}
