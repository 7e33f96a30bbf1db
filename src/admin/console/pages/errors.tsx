import type { ErrorLine, ErrorsStatus } from '../data/contract.ts';
import { usePoll } from '../data/poll.ts';
import { command } from '../logic/acts.ts';
import { toLive, toPool } from '../logic/place.ts';
import { list, number, showHidden } from '../logic/text.ts';
import { Copy, Id } from '../parts/copy.tsx';
import { Page } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { Table } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

const POLL_MS = 5_000;
const STALE_AFTER_MS = 15_000;

/** The gateway's own errors: how many, at whose side, and what to do. */
export function ErrorsPage() {
  const source = usePoll<ErrorsStatus>('/errors', POLL_MS);
  return (
    <Page name="errors" title="Errors">
      <Panel
        name="errors"
        title="Errors of this gateway since it started"
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={({ errors, silent }) =>
          occurred(errors).length === 0 ? noneOf(silent, 'No error since the gateway started.') : undefined
        }
        partial={gapOf}
        side={<Copy isWide what="command" text={command(['admin', 'errors'], location.origin)} />}
      >
        {({ errors }) => <ErrorTable errors={occurred(errors)} />}
      </Panel>
      <Panel
        name="unnamed"
        title="Operations that named no agent in the last hour"
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={({ unnamedOperations, silent }) =>
          unnamedOperations.length === 0
            ? noneOf(silent, 'Every request that had to name an agent named one.')
            : undefined
        }
        partial={gapOf}
      >
        {({ unnamedOperations }) => (
          <Table label="Operations that named no agent">
            <thead>
              <tr>
                <th scope="col">Operation</th>
                <th scope="col">Pool</th>
                <th scope="col" class="number">
                  Requests
                </th>
              </tr>
            </thead>
            <tbody>
              {unnamedOperations.map(({ pool, operation, requests }) => (
                <tr key={`${pool} ${operation}`} data-testid="unnamed-row">
                  <th scope="row">{showHidden(operation)}</th>
                  <td>
                    <a href={toPool(pool)}>{pool}</a>
                  </td>
                  <td class="number">{number(requests)}</td>
                </tr>
              ))}
            </tbody>
          </Table>
        )}
      </Panel>
    </Page>
  );
}

function gapOf({ silent }: ErrorsStatus): string | undefined {
  return silent.length === 0 ? undefined : `${list(silent)} did not answer, so requests are missing.`;
}

/** What an empty list says: not that there was none, while a process has not answered. */
function noneOf(silent: readonly string[], none: string): string {
  return silent.length === 0 ? none : 'Not known: the processes that answered had none.';
}

/** A sample may be newer than the count. */
function occurred(errors: readonly ErrorLine[]): readonly ErrorLine[] {
  return errors.filter(({ count, samples }) => count > 0 || samples.length > 0);
}

function ErrorTable({ errors }: { readonly errors: readonly ErrorLine[] }) {
  return (
    <Table label="Errors" isStacked>
      <thead>
        <tr>
          <th scope="col">Error</th>
          <th scope="col" class="number">
            Number
          </th>
          <th scope="col">Look at</th>
          <th scope="col" class="why">
            What to do
          </th>
          <th scope="col">Last requests</th>
        </tr>
      </thead>
      <tbody>
        {errors.map(({ code, count, owner, message, remedy, runbook, samples }) => (
          <tr key={code} data-testid="error-row" data-code={code}>
            <th scope="row" class="across">
              <a href={toLive({ code })}>{code}</a>
              <br />
              <span class="muted">{message}</span>
            </th>
            <td class="number">{number(count)}</td>
            <td>{owner}</td>
            <td class="across">
              {remedy}{' '}
              <a href={`/runbook${runbook}`} target="_blank" rel="noopener">
                Runbook
              </a>
            </td>
            <td class="across">
              {samples.length === 0 ? (
                'no longer kept'
              ) : (
                <ul class="plain">
                  {samples.map(({ at, requestId }) => (
                    <li key={`${requestId} ${at}`}>
                      <When iso={at} only="relative" /> <Id text={requestId} what="request id" />
                    </li>
                  ))}
                </ul>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}
