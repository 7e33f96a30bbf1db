import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { theme } from '../data/preferences.ts';
import { useStore } from '../data/store.ts';
import { When } from './when.tsx';

interface CurveProps {
  readonly title: string;
  readonly at: readonly number[];
  readonly values: readonly (number | null)[];
  readonly format: (value: number) => string;
}

const HEIGHT_PX = 72;

/** One small curve over the last minutes. The value under the pointer stands in its heading, else the last one. */
export function Curve({ title, at, values, format }: CurveProps) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [pointed, setPointed] = useState<number | null>(null);
  const chosenTheme = useStore(theme);
  const colours = useColourScheme();

  // The colours are read from the style sheet, so a new theme needs a new plot.
  useEffect(() => {
    const element = holder.current;
    if (element === null) return undefined;
    const made = new uPlot(optionsOf(element, setPointed), [[], []], element);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT_PX }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [chosenTheme, colours]);
  useEffect(() => {
    plot.current?.setData([[...at], [...values]]);
  }, [at, values, chosenTheme, colours]);

  const index = pointed ?? values.length - 1;
  const value = values[index] ?? null;
  const time = at[index];
  const shown = value === null ? '–' : format(value);
  const most = Math.max(0, ...values.filter((one) => one !== null));
  return (
    <figure class="curve">
      <figcaption>
        {title} <strong>{shown}</strong>
        {pointed !== null && time !== undefined && (
          <span class="muted">
            {' '}
            <When iso={new Date(time * 1_000).toISOString()} only="absolute" />
          </span>
        )}
      </figcaption>
      <div ref={holder} role="img" aria-label={`${title}: now ${shown}, at most ${format(most)}`} />
    </figure>
  );
}

function optionsOf(element: HTMLElement, onPoint: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  const font = `11px ${style.fontFamily}`;
  return {
    width: Math.max(element.clientWidth, 60),
    height: HEIGHT_PX,
    padding: [8, 4, 8, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_, __, most) => [0, Math.max(1, most ?? 1) * 1.1] } },
    axes: [
      { ...axis, show: false },
      { ...axis, font, size: 40, space: 26 },
    ],
    series: [{}, { stroke: colour('--accent'), width: 1.5, points: { show: false } }],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
  };
}

/** Whether the system asks for dark colours; changes draw the curve again. */
function useColourScheme(): boolean {
  const [query] = useState(() => matchMedia('(prefers-color-scheme: dark)'));
  const [isDark, setDark] = useState(query.matches);
  useEffect(() => {
    const read = (): void => setDark(query.matches);
    query.addEventListener('change', read);
    return () => query.removeEventListener('change', read);
  }, [query]);
  return isDark;
}
