import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

const PLACE = /file:\/\/\S+?\.js(?=:\d)(?::(\d+)):(\d+)/g;

/**
 * The stack of an error, with the lines of `src` instead of those of the bundle where source maps are beside it. It reads
 * and decodes them, which takes tens of milliseconds: for the last line of a process. `--enable-source-maps` decodes the
 * map of each file when it is loaded, which takes a third of a start.
 */
export function withSourceLines(stack: string): string {
  const maps = new Map<string, SourceMap | undefined>();
  return stack.replace(PLACE, (place: string, line: string, column: string) => {
    const file = place.slice(0, -`:${line}:${column}`.length);
    if (!maps.has(file)) maps.set(file, mapOf(file));
    const entry = maps.get(file)?.findEntry(Number(line) - 1, Number(column) - 1);
    if (entry === undefined || !('originalSource' in entry)) return place;
    const { originalSource, originalLine, originalColumn } = entry;
    return `${originalSource.replace(/^(\.\.\/)+/, '')}:${originalLine + 1}:${originalColumn + 1}`;
  });
}

function mapOf(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(file)}.map`, 'utf8')));
  } catch {
    // The package of `npm pack` has none.
    return undefined;
  }
}
