import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startConnector } from '../../src/simulator/connector.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { accessibilityProblems } from './accessibility.ts';
import { openBrowser } from './browser.ts';

let browser: Browser;

beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(() => browser.close());

test('Chromium opens the pages of the admin port', async () => {
  const connector = await startConnector({ name: 'a' });
  const instances = [{ id: 'a', url: connector.url }];
  const gateway = await startGatewayProcess({
    pools: [{ name: 'ici', health: { path: '/health' }, instances }],
  });
  const page = await browser.newPage();
  try {
    await page.goto(`${gateway.adminUrl}/readyz`);
    expect(await page.locator('body').innerText()).toContain('Running');
    // Plain text has neither a title nor a language: what axe-core finds elsewhere can be trusted.
    expect((await accessibilityProblems(page)).join('\n')).toContain('document-title');
  } finally {
    await page.close();
    await gateway.close();
    await connector.close();
  }
});
