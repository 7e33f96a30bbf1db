import { filter } from '../data/route.ts';
import { nextSort } from '../logic/agents.ts';

interface SortHeadProps {
  readonly column: string;
  readonly sort: string;
  readonly children: string;
}

export function SortHead({ column, sort, children }: SortHeadProps) {
  const isUp = sort === column;
  const isDown = sort === `-${column}`;
  return (
    <th scope="col" aria-sort={isUp ? 'ascending' : isDown ? 'descending' : 'none'}>
      <button type="button" class="sort" onClick={() => filter({ sort: nextSort(column, sort) })}>
        {children} <span aria-hidden="true">{isUp ? '↑' : isDown ? '↓' : '↕'}</span>
      </button>
    </th>
  );
}
