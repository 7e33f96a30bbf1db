import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import type { Stage } from './stage.ts';
import type { UserName } from './users.ts';
import { passwordOf } from './users.ts';

export type Theme = 'light' | 'dark';
export const THEMES: readonly Theme[] = ['light', 'dark'];

export interface OpenOptions {
  /** Logged in; `null`: not logged in. */
  readonly user?: UserName | null;
  /** The gateway whose console it is. */
  readonly gateway?: number;
  readonly theme?: Theme;
  readonly width?: number;
}

/** One browser window with the console of one gateway, with cookies of its own. */
export class Console {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly url: string;
  /** What a developer would see in red: exceptions, and what the Content-Security-Policy refused. */
  readonly errors: string[] = [];

  private constructor(context: BrowserContext, page: Page, url: string) {
    this.context = context;
    this.page = page;
    this.url = url;
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.on('console', (message) => {
      // A refused or failed request is a line here too, and an ordinary state of the console.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        this.errors.push(message.text());
    });
  }

  /** @param hash `null`: the page is not opened yet */
  static async open(
    browser: Browser,
    stage: Stage,
    hash: string | null = '#/',
    { user = 'ada', gateway = 0, theme = 'light', width = 1280 }: OpenOptions = {},
  ): Promise<Console> {
    const url = stage.gateway(gateway).adminUrl;
    const context = await browser.newContext({
      viewport: { width, height: 800 },
      colorScheme: theme,
      reducedMotion: 'reduce',
      locale: 'en-GB',
      timezoneId: 'Europe/Berlin',
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    // Long enough for a machine with one slow core and other work.
    context.setDefaultTimeout(30_000);
    const page = await context.newPage();
    const opened = new Console(context, page, url);
    if (user !== null) await opened.logInByRequest(user);
    if (hash !== null) await opened.goto(hash);
    return opened;
  }

  /** Without the log-in page, which has tests of its own. */
  async logInByRequest(user: UserName): Promise<void> {
    const answer = await this.context.request.post(`${this.url}/session`, {
      data: { user, password: passwordOf(user) },
      headers: { 'x-ici-gateway': 'console' },
    });
    if (!answer.ok()) throw new Error(`${user} could not log in: ${answer.status()} ${await answer.text()}`);
  }

  async goto(hash: string): Promise<void> {
    await this.page.goto(`${this.url}/${hash}`);
  }

  /** Goes to another page as a link does, without loading the console again. */
  async follow(hash: string): Promise<void> {
    await this.page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  }

  id(testId: string): Locator {
    return this.page.getByTestId(testId);
  }

  panel(name: string): Locator {
    return this.id(`panel-${name}`);
  }

  card(instance: string): Locator {
    return this.page.locator(`[data-testid="instance-card"][data-instance="${instance}"]`);
  }

  /** Resolves when no part of the page waits for its first data. */
  async loaded(): Promise<void> {
    await this.page.locator('[data-testid^="page-"]').first().waitFor();
    await this.page.locator('[data-state="loading"]').first().waitFor({ state: 'detached' });
  }

  async panelIs(name: string, state: string): Promise<void> {
    await this.page.locator(`[data-testid="panel-${name}"][data-state="${state}"]`).waitFor();
  }

  /** Opens the dialog of an act by its button; resolves when the dialog says what the act costs. */
  async begin(button: Locator): Promise<void> {
    await button.click();
    await this.consequenceShown();
  }

  async consequenceShown(): Promise<void> {
    await this.page.locator('[data-testid="confirm-consequence"][data-state="shown"]').waitFor();
  }

  /** The command that the dialog shows for the same act. */
  async shownCommand(): Promise<readonly string[]> {
    return words(await this.page.locator('dialog .command code').innerText());
  }

  /** Gives the reason and confirms; resolves when the console says that the act is in effect. */
  async confirm(why: string): Promise<void> {
    await this.id('confirm-why').fill(why);
    await this.id('confirm-ok').click();
    await this.acted('in effect');
  }

  async acted(state: string): Promise<void> {
    await this.id('act-state')
      .filter({ hasText: new RegExp(`^${state}$`) })
      .waitFor();
  }

  /** Rejects if the page threw, or did what its Content-Security-Policy forbids. */
  async close(): Promise<void> {
    await this.context.close();
    if (this.errors.length > 0) throw new Error(`errors on ${this.page.url()}: ${this.errors.join('\n')}`);
  }
}

/** The words of a command as a shell would read them. */
function words(command: string): string[] {
  return Array.from(command.matchAll(/'((?:[^']|'\\'')*)'|(\S+)/g), ([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '') : quoted.replaceAll(`'\\''`, `'`),
  );
}
