import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConsole } from '../../src/admin/console-files.ts';
import { ROOT, readDocument } from '../support/documents.ts';

interface Rule {
  readonly annotations: { readonly runbook_url: string };
}

test('the page of the runbook has the section of every alarm, and links to nothing that is not served', () => {
  const files = readConsole(pathToFileURL(`${ROOT}dist/console/`));
  const page = String(files.get('/runbook')?.encodings.get('identity'));
  const rules: readonly Rule[] = parse(readDocument('deploy/prometheus/alerts.yaml')).groups[0].rules;
  for (const { annotations } of rules)
    expect(page).toContain(` id="${annotations.runbook_url.split('#').at(-1)}"`);
  for (const [, link = ''] of page.matchAll(/ href="([^"]*)"/g)) {
    if (link.startsWith('/')) expect([...files.keys()]).toContain(link);
    else if (link.startsWith('#')) expect(page).toContain(` id="${link.slice(1)}"`);
    else expect(link).toMatch(/^(https:|data:)/);
  }
});
