import type { SeenNamesStatus } from '../data/contract.ts';
import { usePoll } from '../data/poll.ts';
import { number, SOURCE_TEXTS } from '../logic/text.ts';
import { Panel } from './panel.tsx';
import { Table } from './table.tsx';

const POLL_MS = 15_000;
const STALE_AFTER_MS = 40_000;

/** Where the requests of a pool named their agents in the last hour, and which did not. */
export function NamingPanel({ pool }: { readonly pool: string }) {
  const source = usePoll<SeenNamesStatus>(`/pools/${encodeURIComponent(pool)}/identity`, POLL_MS);
  return (
    <Panel
      name="identity"
      title="How requests named their agents in the last hour"
      source={source}
      staleAfter={STALE_AFTER_MS}
      empty={({ requests, partial }) => {
        if (requests > 0) return undefined;
        return partial
          ? 'Not known: the workers that answered had none.'
          : 'No request had to name an agent.';
      }}
      partial={({ partial }) =>
        partial ? 'A worker did not answer, so its requests are missing.' : undefined
      }
    >
      {(seen) => <Naming seen={seen} />}
    </Panel>
  );
}

function Naming({ seen }: { readonly seen: SeenNamesStatus }) {
  const { sources, reasons, unnamedOperations, searched, elements, ignored, conflicts } = seen;
  return (
    <>
      <Numbers
        head="Named by"
        rows={sources.map(({ source, requests, share }) => [
          `${SOURCE_TEXTS[source]}: ${(share * 100).toFixed(1)}\u00a0%`,
          requests,
        ])}
      />
      <Numbers
        head="Named no agent, because"
        rows={reasons.map(({ reason, requests }) => [reason, requests])}
      />
      <Numbers
        head="Operation that named no agent"
        rows={unnamedOperations.map(({ operation, requests, elements: names = [] }) => [
          names.length === 0 ? operation : `${operation}, with the elements ${names.join(', ')}`,
          requests,
        ])}
      />
      <Numbers
        head={`Element that held the name, of ${number(searched)} searched`}
        rows={elements.map(({ kind, element, requests }) => [`${element} (${kind})`, requests])}
      />
      <Numbers
        head="Value not used, because"
        rows={ignored.map(({ source, reason, values }) => [`${reason} (${SOURCE_TEXTS[source]})`, values])}
      />
      <Numbers
        head="Operation with another agent's name"
        rows={conflicts.map(({ operation, requests }) => [operation, requests])}
      />
      {reasons.length > 0 && (
        <p class="below">
          <a href="/runbook#agents-unnamed" target="_blank" rel="noopener">
            Which option helps
          </a>
        </p>
      )}
    </>
  );
}

type Row = readonly [text: string, many: number];

function Numbers({ head, rows }: { readonly head: string; readonly rows: readonly Row[] }) {
  if (rows.length === 0) return null;
  return (
    <Table label={head}>
      <thead>
        <tr>
          <th scope="col">{head}</th>
          <th scope="col" class="number">
            Number
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([text, many]) => (
          <tr key={text}>
            <th scope="row">{text}</th>
            <td class="number">{number(many)}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
