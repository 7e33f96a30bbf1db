import { readdirSync, readFileSync } from 'node:fs';

const HEAD = 'head.lua';

/** The scripts of the last release, as its gateways load them: those of one kind begin alike. */
export function scriptsOfLastRelease(kind: 'bindings' | 'ledger'): Record<string, string> {
  const folder = new URL(`../fixtures/release-0.1/${kind}/`, import.meta.url);
  const read = (file: string): string => readFileSync(new URL(file, folder), 'utf8');
  const bodies = readdirSync(folder).filter((file) => file !== HEAD);
  return Object.fromEntries(bodies.map((file) => [file.replace('.lua', ''), read(HEAD) + read(file)]));
}
