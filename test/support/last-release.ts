import { readdirSync, readFileSync } from 'node:fs';

const HEAD = 'head.lua';

/** The scripts of the last release, as its gateways load them: all scripts of one kind share a head. */
export function scriptsOfLastRelease(kind: 'bindings' | 'ledger'): Record<string, string> {
  const folder = new URL(`../fixtures/release-0.1/${kind}/`, import.meta.url);
  const read = (file: string): string => readFileSync(new URL(file, folder), 'utf8');
  const bodies = readdirSync(folder).filter((file) => file !== HEAD);
  return Object.fromEntries(bodies.map((file) => [file.replace('.lua', ''), read(HEAD) + read(file)]));
}
