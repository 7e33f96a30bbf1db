import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A file of the repository, by its path from the root. */
export function readDocument(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

const pagesIn = (folder: string, recursive: boolean): string[] =>
  readdirSync(join(ROOT, folder), { recursive, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name))
    .sort();

/** The pages of the reference. */
export const REFERENCE: readonly string[] = pagesIn('deploy/docs', false);
/** Every document in Markdown. */
export const DOCUMENTS: readonly string[] = [
  ...pagesIn('', false),
  ...['src', 'deploy', 'test'].flatMap((folder) => pagesIn(folder, true)),
];

/** A document without its blocks of code. */
export function withoutCode(text: string): string {
  return text.replaceAll(/^( *)```.*\n[\s\S]*?^\1```$/gm, '');
}

/** The blocks of code of one language, in order, as they stand there. */
export function codeBlocks(text: string, language: string): string[] {
  return Array.from(text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```$/gm), ([, , found, code = '']) =>
    found === language ? code : '',
  ).filter((code) => code !== '');
}

/** What GitHub makes of headings for links to them. */
export function anchorsOf(text: string): string[] {
  return Array.from(withoutCode(text).matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The rows of the first table with this head, cell by cell. */
export function tableBelow(text: string, head: string): string[][] {
  const from = text.indexOf(head);
  if (from < 0) throw new Error(`there is no table that begins with ${head}`);
  const [table = ''] = text.slice(from).split('\n\n');
  return table
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}
