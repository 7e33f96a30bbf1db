import type { AgentLine } from '../data/contract.ts';

type Column = 'name' | 'instance' | 'boundSince' | 'lastActive';

const COLUMNS: readonly string[] = ['name', 'instance', 'boundSince', 'lastActive'] satisfies Column[];

/** @param sort a column; with `-` in front downwards */
export function sorted(agents: readonly AgentLine[], sort: string): readonly AgentLine[] {
  const isDown = sort.startsWith('-');
  const column = (isDown ? sort.slice(1) : sort) as Column;
  if (!COLUMNS.includes(column)) return agents;
  const order = (a: AgentLine, b: AgentLine): number =>
    compare(a[column] ?? '', b[column] ?? '') || compare(a.name, b.name);
  return [...agents].sort((a, b) => (isDown ? order(b, a) : order(a, b)));
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** The sort that a click on a column's heading asks for. */
export function nextSort(column: string, sort: string): string {
  return sort === column ? `-${column}` : column;
}
