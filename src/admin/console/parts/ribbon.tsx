import { useEffect, useRef } from 'preact/hooks';
import type { EpochAnswer } from '../data/contract.ts';
import { eventText } from '../logic/events.ts';
import type { Cell } from '../logic/history.ts';
import { CAUSES, isSevere, reportsText } from '../logic/history.ts';
import { count, number, showHidden } from '../logic/text.ts';
import { Table } from './table.tsx';
import { When } from './when.tsx';

interface RibbonProps {
  readonly cells: readonly Cell[];
  readonly onChoose: (epochs: readonly EpochAnswer[]) => void;
}

/** The changes of the view on the time axis of the curves above. Each part that has some leads to its facts. */
export function Ribbon({ cells, onChoose }: RibbonProps) {
  return (
    <div class="ribbon" data-testid="ribbon">
      {cells.map(({ epochs, places }, index) => (
        <div key={index} class="cell">
          {epochs.length > 0 && (
            <button
              type="button"
              data-testid="ribbon-cell"
              onClick={() => onChoose(epochs)}
              aria-label={`${count(epochs.length, 'change')} of the view: ${epochs.map(changesText).join('; ')}`}
              title={epochs.map(changesText).join('\n')}
            >
              {epochs.map((epoch, i) => (
                <span
                  key={keyOf(epoch)}
                  class={isSevere(epoch) ? 'tick severe' : 'tick'}
                  style={{ left: `${(places[i] ?? 0) * 100}%` }}
                />
              ))}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}

interface EpochTableProps {
  readonly epochs: readonly EpochAnswer[];
  /** Those whose facts were asked for. */
  readonly chosen: readonly EpochAnswer[];
}

export function EpochTable({ epochs, chosen }: EpochTableProps) {
  const holder = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (chosen.length > 0) holder.current?.querySelector<HTMLElement>('[data-chosen] th')?.focus();
  }, [chosen]);
  const keys = new Set(chosen.map(keyOf));
  return (
    <div ref={holder}>
      <Table label="Changes of the view" isStacked>
        <thead>
          <tr>
            <th scope="col">Agreed</th>
            <th scope="col">View</th>
            <th scope="col">Cause</th>
            <th scope="col">Changes</th>
            <th scope="col" class="number">
              Took
            </th>
            <th scope="col">Agents</th>
            <th scope="col">Reports</th>
          </tr>
        </thead>
        <tbody>
          {epochs.map((epoch) => (
            <EpochRow key={keyOf(epoch)} epoch={epoch} isChosen={keys.has(keyOf(epoch))} />
          ))}
        </tbody>
      </Table>
    </div>
  );
}

function EpochRow({ epoch, isChosen }: { readonly epoch: EpochAnswer; readonly isChosen: boolean }) {
  const [first] = epoch.changes;
  return (
    <tr data-testid="epoch" {...(isChosen ? { 'data-chosen': '', class: 'chosen' } : {})}>
      <th scope="row" tabIndex={-1}>
        <When iso={epoch.at} />
      </th>
      <td>{number(epoch.epoch)}</td>
      <td>{CAUSES[epoch.cause]}</td>
      <td class="across">
        {showHidden(changesText(epoch))}
        <div class="small muted">
          {showHidden([first?.why, first && `by ${first.by}`].filter(Boolean).join(', '))}
        </div>
      </td>
      <td class="number">{epoch.seconds === null ? '' : `${epoch.seconds.toFixed(1)} s`}</td>
      <td>{epoch.agents === null ? '' : count(epoch.agents, 'agent')}</td>
      <td class="across">{showHidden(reportsText(epoch))}</td>
    </tr>
  );
}

function changesText({ at, changes }: EpochAnswer): string {
  return changes.map((change) => eventText({ ...change, at })).join(', ');
}

function keyOf({ epoch, at }: EpochAnswer): string {
  return `${epoch} ${at}`;
}
