import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const FROM = /^(?:import|export)(?! type)\b[^;]*?from '([^']+)'/gm;

/** The packages that are loaded with the module, without those of a later `await import`. */
function packagesOf(entry: string): Set<string> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (url: URL): void => {
    if (seen.has(url.href)) return;
    seen.add(url.href);
    for (const [, specifier = ''] of readFileSync(fileURLToPath(url), 'utf8').matchAll(FROM)) {
      if (specifier.startsWith('.')) visit(new URL(specifier, url));
      else packages.add(specifier);
    }
  };
  visit(new URL(`../../../src/${entry}`, import.meta.url));
  return packages;
}

// Agents wait for a worker that takes the place of a dead one. The schema and the parser of the configuration are 600
// files, and cost it half of its start again; processes get a configuration that is resolved.
test.each(['wiring/controller.ts', 'wiring/worker.ts'])(
  '%s loads neither the schema nor the parser of the configuration',
  (entry) => {
    const packages = [...packagesOf(entry)];
    expect(packages).toContain('undici');
    expect(packages.filter((name) => /^(typebox|yaml)\b/.test(name))).toEqual([]);
  },
);
