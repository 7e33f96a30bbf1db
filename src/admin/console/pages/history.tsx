import { useMemo, useState } from 'preact/hooks';
import type { EpochAnswer, HistoryAnswer } from '../data/contract.ts';
import { useChangesOf } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { filter, route } from '../data/route.ts';
import { useStore } from '../data/store.ts';
import { command } from '../logic/acts.ts';
import type { Chart, SpanName } from '../logic/history.ts';
import { cellsOf, chartsOf, isSpan, SPANS } from '../logic/history.ts';
import { toPool } from '../logic/place.ts';
import { number, rate } from '../logic/text.ts';
import { Copy } from '../parts/copy.tsx';
import { Curve } from '../parts/curve.tsx';
import { Field } from '../parts/filters.tsx';
import { Page } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { EpochTable, Ribbon } from '../parts/ribbon.tsx';

const EPOCHS = 200;
const EPOCHS_POLL_MS = 10_000;
// An answer may be three questions late.
const LATE = 3;

const FORMATS: Readonly<Record<Chart['kind'], (value: number) => string>> = {
  rate,
  ms: (value) => `${value < 100 ? value.toFixed(1) : number(Math.round(value))} ms`,
  number: (value) => number(Math.round(value)),
};

/** What happened in a pool lately, as this gateway saw it, and the changes of the view on the same time axis. */
export function HistoryPage() {
  const { pool, query } = useStore(route).place;
  const span: SpanName = isSpan(query['span']) ? query['span'] : '15m';
  const { step, pollMs } = SPANS[span];
  const path = `/pools/${encodeURIComponent(pool)}`;
  const history = usePoll<HistoryAnswer>(`${path}/history?step=${step}&from=${span}`, pollMs);
  const epochs = usePoll<{ readonly epochs: readonly EpochAnswer[]; readonly more: boolean }>(
    `${path}/epochs?since=${span}&limit=${EPOCHS}`,
    EPOCHS_POLL_MS,
    useChangesOf(pool),
  );
  const [chosen, setChosen] = useState<readonly EpochAnswer[]>([]);
  return (
    <Page
      name="history"
      title={`History of pool ${pool}`}
      heading={
        <>
          History of pool <a href={toPool(pool)}>{pool}</a>
        </>
      }
    >
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <Field label="Last">
          <select
            data-testid="history-span"
            value={span}
            onChange={({ currentTarget }) => filter({ span: currentTarget.value })}
          >
            {Object.entries(SPANS).map(([name, { text }]) => (
              <option key={name} value={name}>
                {text}
              </option>
            ))}
          </select>
        </Field>
      </form>
      <Panel
        name="history"
        title="At this gateway"
        source={history}
        staleAfter={pollMs * LATE}
        empty={({ knownSeconds }) =>
          knownSeconds.some((known) => known > 0) ? undefined : 'Nothing is known of this time yet.'
        }
        partial={({ knownSeconds }) => partOf(knownSeconds)}
        side={
          <Copy
            isWide
            what="command"
            text={command(['admin', 'history', pool, '--last', span], location.origin)}
          />
        }
      >
        {(data) => <Curves history={data} epochs={epochs.data?.epochs ?? []} onChoose={setChosen} />}
      </Panel>
      <Panel
        name="epochs"
        title="Changes of the view"
        source={epochs}
        staleAfter={EPOCHS_POLL_MS * LATE}
        empty={({ epochs: all }) => (all.length === 0 ? 'The view has not changed in this time.' : undefined)}
        partial={({ more }) => (more ? `The latest ${EPOCHS} are shown.` : undefined)}
        side={
          <Copy
            isWide
            what="command"
            text={command(['admin', 'epochs', pool, '--since', span], location.origin)}
          />
        }
      >
        {({ epochs: all }) => <EpochTable epochs={all} chosen={chosen} />}
      </Panel>
    </Page>
  );
}

interface CurvesProps {
  readonly history: HistoryAnswer;
  readonly epochs: readonly EpochAnswer[];
  readonly onChoose: (epochs: readonly EpochAnswer[]) => void;
}

function Curves({ history, epochs, onChoose }: CurvesProps) {
  const { at, charts } = useMemo(() => chartsOf(history), [history]);
  const [from = 0, to = 1] = [at[0], at.at(-1)];
  const shown = epochs.filter((one) => Date.parse(one.at) / 1_000 >= from);
  return (
    <div class="timeline">
      {charts.map(({ title, kind, values }) => (
        <Curve key={title} title={title} at={at} values={values} format={FORMATS[kind]} />
      ))}
      <Ribbon cells={cellsOf(shown, from, to)} onChoose={onChoose} />
    </div>
  );
}

/** Gaps within the time that is known at all. */
function partOf(known: readonly number[]): string | undefined {
  const first = known.findIndex((seconds) => seconds > 0);
  // The newest seconds are not complete yet.
  const gaps = first < 0 ? 0 : known.slice(first, -3).filter((seconds) => seconds === 0).length;
  return gaps === 0
    ? undefined
    : `${number(gaps)} of ${number(known.length - first)} steps are not known: a worker was silent, or the controller was away.`;
}
