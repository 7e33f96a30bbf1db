import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Problem } from '../data/client.ts';
import { clock } from '../data/clock.ts';
import { useSelected } from '../data/store.ts';
import { panelState } from '../logic/panel-state.ts';
import { durationText } from '../logic/time.ts';
import { ProblemText } from './problem.tsx';

interface PanelProps<Data> {
  readonly name: string;
  readonly title: string;
  readonly source: {
    readonly data: Data | undefined;
    readonly at: number;
    readonly problem: Problem | undefined;
    readonly isOld?: boolean;
  };
  readonly staleAfter: number;
  /** What the panel says if there is nothing to show. */
  readonly empty?: (data: Data) => string | undefined;
  /** What is missing, if something is. */
  readonly partial?: (data: Data) => string | undefined;
  /** Beside the title. */
  readonly side?: ComponentChildren;
  readonly children: (data: Data) => ComponentChildren;
}

/** A part of a page with its own data. The last data stays, greyed, while no newer can be had. */
export function Panel<Data>(props: PanelProps<Data>) {
  const { name, title, source, staleAfter, side, children } = props;
  const { data, at, problem, isOld = false } = source;
  const isLate = useIsLate(data === undefined ? undefined : at + staleAfter);
  const empty = data === undefined ? undefined : props.empty?.(data);
  const partial = data === undefined ? undefined : props.partial?.(data);
  const state = panelState({
    hasData: data !== undefined,
    hasError: problem !== undefined,
    age: isLate ? Number.POSITIVE_INFINITY : 0,
    staleAfter,
    isEmpty: empty !== undefined,
    isPartial: partial !== undefined,
  });
  const heading = `heading-${name}`;
  return (
    <section
      class="panel"
      data-testid={`panel-${name}`}
      data-state={state}
      aria-labelledby={heading}
      aria-busy={state === 'loading' || isOld}
    >
      <header>
        <h2 id={heading}>{title}</h2>
        {state === 'stale' && <Age at={at} problem={problem} />}
        {side}
      </header>
      {state === 'error' && problem !== undefined && <ProblemText problem={problem} />}
      {partial !== undefined && <p class="note">{partial}</p>}
      <div class={state === 'stale' || isOld ? 'body old' : 'body'}>
        {state === 'loading' && <Loading />}
        {empty !== undefined && <p class="empty">{empty}</p>}
        {data !== undefined && empty === undefined && children(data)}
      </div>
    </section>
  );
}

/** In the line of the title, so that nothing moves when it comes. */
function Age({ at, problem }: { readonly at: number; readonly problem: Problem | undefined }) {
  const age = useSelected(clock, (now) => durationText(now - at));
  const text = `▲ ${age} old${problem === undefined ? '' : `: ${problem.text}. ${problem.next}`}`;
  return (
    <span class="age level-warning" title={text}>
      {text}
    </span>
  );
}

function Loading() {
  return (
    <p class="loading">
      <span class="bar" />
      <span class="bar" />
      <span class="visually-hidden">Loading</span>
    </p>
  );
}

/** Whether the moment has passed, without drawing the panel once a second. */
export function useIsLate(moment: number | undefined): boolean {
  const [lateSince, setLateSince] = useState<number>();
  useEffect(() => {
    if (moment === undefined) return undefined;
    const timer = setTimeout(() => setLateSince(moment), Math.max(0, moment - clock.now()));
    return () => clearTimeout(timer);
  }, [moment]);
  return moment !== undefined && lateSince === moment;
}
