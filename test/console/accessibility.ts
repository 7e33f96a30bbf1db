import type { AxeResults } from 'axe-core';
import axe from 'axe-core';
import type { Page } from 'playwright-core';

/** What axe-core finds on the page, one line per finding; empty if it finds nothing. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  // Evaluated by the debugger, so that it needs no exception from the page's Content-Security-Policy.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<AxeResults>(
    'axe.run(document, { resultTypes: ["violations"] })',
  );
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary = '' }) => `${id}: ${help}: ${target.join(' ')}\n${failureSummary}`),
  );
}
