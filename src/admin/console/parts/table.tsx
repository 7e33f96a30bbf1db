import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

interface TableProps {
  readonly label: string;
  /** On a narrow screen each row becomes a block, in which each cell says its heading. */
  readonly isStacked?: boolean;
  readonly children: ComponentChildren;
}

/** A table that may scroll by itself on a narrow screen. The arrow keys go from row to row. */
export function Table({ label, isStacked = false, children }: TableProps) {
  const holder = useRef<HTMLDivElement>(null);
  const [scrolls, setScrolls] = useState(false);
  useEffect(() => {
    const element = holder.current;
    if (element === null) return undefined;
    const watch = new ResizeObserver(() => setScrolls(element.scrollWidth > element.clientWidth));
    watch.observe(element);
    // The table grows with its rows, and its holder does not.
    if (element.firstElementChild !== null) watch.observe(element.firstElementChild);
    return () => watch.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (isStacked && holder.current !== null) nameCells(holder.current);
  });
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys go between the links and buttons inside
    <div
      ref={holder}
      class="scroll"
      // What scrolls must be reachable by the keyboard.
      {...(scrolls ? { tabIndex: 0 } : {})}
      onKeyDown={moveBetweenRows}
    >
      <table class={isStacked ? 'stack' : undefined} aria-label={label}>
        {children}
      </table>
    </div>
  );
}

/** Gives each cell the heading of its column, which the style sheet shows on a narrow screen. */
function nameCells(holder: HTMLElement): void {
  const heads = [...holder.querySelectorAll('thead th')].map(({ textContent }) => textContent?.trim() ?? '');
  for (const cell of holder.querySelectorAll<HTMLTableCellElement>('tbody td:not([data-head], [colspan])'))
    cell.dataset['head'] = heads[cell.cellIndex] ?? '';
}

function moveBetweenRows(event: KeyboardEvent): void {
  const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  const { target, currentTarget } = event;
  if (step === 0 || !(target instanceof HTMLElement) || !(currentTarget instanceof HTMLElement)) return;
  if (target.matches('select, input, textarea')) return;
  const stops = [...currentTarget.querySelectorAll<HTMLElement>('tbody tr')]
    .map((row) => row.querySelector<HTMLElement>('a, button'))
    .filter((stop) => stop !== null);
  if (stops.length === 0) return;
  const row = target.closest('tr');
  const at = stops.findIndex((stop) => stop.closest('tr') === row);
  const next = at === -1 ? stops[0] : stops[at + step];
  event.preventDefault();
  next?.focus();
}
