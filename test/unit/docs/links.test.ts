import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { anchorsOf, DOCUMENTS, ROOT, readDocument, withoutCode } from '../../support/documents.ts';

describe('links between documents', () => {
  test('exist in the checked documents', () => {
    expect(DOCUMENTS.length).toBeGreaterThan(35);
    expect(DOCUMENTS).toEqual(expect.arrayContaining(['README.md', 'src/README.md', 'deploy/RUNBOOK.md']));
  });

  test.each(DOCUMENTS)('of %s have existing targets', (page) => {
    for (const problem of deadLinks(page, readDocument(page))) expect.fail(problem);
  });

  test('without a target are reported', () => {
    const text =
      '[a](no-file.md) [b](../README.md#no-such-heading) [c](#none) [d](https://example.com)\n# Heading';
    expect(deadLinks('deploy/README.md', text)).toEqual([
      'no-file.md: no such file',
      '../README.md#no-such-heading: no such heading',
      '#none: no such heading',
    ]);
  });
});

function deadLinks(page: string, text: string): string[] {
  const problems: string[] = [];
  for (const [, link = ''] of withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^\w+:/.test(link)) continue;
    const [file = '', anchor] = link.split('#', 2);
    const target = file === '' ? page : join(dirname(page), file);
    if (!existsSync(join(ROOT, target))) problems.push(`${link}: no such file`);
    else if (
      anchor !== undefined &&
      !anchorsOf(target === page ? text : readDocument(target)).includes(anchor)
    )
      problems.push(`${link}: no such heading`);
  }
  return problems;
}
