/**
 * Makes pictures of all pages of the console in all their states, in both themes and two widths, for people to look at.
 *
 *   npm run screenshots -- [--only TEXT] [--into FOLDER]
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { chromiumOptions } from '../support/chromium.ts';
import { eventually } from '../support/eventually.ts';
import { startLoad, users } from '../support/load.ts';
import { subscribeEnvelope } from '../support/soap.ts';
import { Console, THEMES } from './console.ts';
import { age, PAGES, prepare, SCENES, STATES } from './shots.ts';
import { Stage } from './stage.ts';

const WIDTHS = [1280, 360] as const;
const AGENTS = ['MILLER', 'SMITH', 'JONES', ...users(57, 'AGENT')];

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, into: { type: 'string', default: 'build/screenshots' } },
});
if (values.only === '') rmSync(values.into, { recursive: true, force: true });
mkdirSync(values.into, { recursive: true });

const browser = await chromium.launch(chromiumOptions());
const stage = await Stage.start({ workers: 1 });
const load = startLoad(
  stage.gateways.map(({ url }) => url),
  AGENTS,
  400,
);
let made = 0;
try {
  await disturb();
  for (const theme of THEMES)
    for (const width of WIDTHS) {
      const shoot = async (
        name: string,
        options: Parameters<typeof Console.open>[3],
        play: (ui: Console) => Promise<unknown>,
        hash: string,
        before: (ui: Console) => Promise<unknown> = async () => undefined,
      ): Promise<void> => {
        const file = `${name}-${theme}-${width}`;
        if (!file.includes(values.only)) return;
        const ui = await Console.open(browser, stage, null, { theme, width, ...options });
        try {
          await before(ui);
          await ui.goto(hash);
          await play(ui);
          await ui.page.screenshot({ path: join(values.into, `${file}.png`), fullPage: true });
          made += 1;
        } catch (error) {
          process.stderr.write(`${file}: ${String(error)}\n`);
          process.exitCode = 1;
        } finally {
          await ui.context.close();
        }
      };
      for (const [page, hash] of Object.entries(PAGES))
        for (const state of STATES)
          await shoot(
            `${page}-${state}`,
            {},
            async (ui) => {
              if (state === 'loading' || state === 'error')
                await ui.page.locator(`[data-state="${state}"]`).first().waitFor();
              else await ui.loaded();
              await age(ui.page, state);
            },
            hash,
            ({ page: shown }) => prepare(shown, state),
          );
      for (const { name, hash, user, play } of SCENES)
        await shoot(name, user === undefined ? {} : { user }, play, hash);
    }
  process.stdout.write(`${made} pictures in ${values.into}\n`);
} finally {
  await load.stop();
  await stage.close();
  await browser.close();
}

/** One instance drained, one lost, two requests in error: most of the pictures show an ordinary bad day. */
async function disturb(): Promise<void> {
  await eventually(() => {
    if (load.outcomes.length < AGENTS.length) throw new Error('not all agents are bound');
  });
  await stage.did(['admin', 'drain', 'ici', 'b', '--deadline', '30m', '--why', 'patch of the host']);
  await stage.connector('c').behave({ mode: 'refuse' });
  await eventually(async () => {
    if ((await stage.instance('ici', 'c')).health !== 'down') throw new Error('c is not down');
  });
  for (const { url } of stage.gateways) {
    await fetch(url, { method: 'POST', headers: { soapuser: 'X'.repeat(1_000) } });
    await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'text/xml' },
      body: subscribeEnvelope({}),
    });
  }
}
