import type { RecentRequest } from '../data/contract.ts';
import type { Followed } from '../data/follow.ts';
import { toAgent } from '../logic/place.ts';
import { count, list, showHidden } from '../logic/text.ts';
import { millisecondsText } from '../logic/time.ts';
import { Id } from './copy.tsx';
import { Table } from './table.tsx';
import { When } from './when.tsx';

interface RequestTableProps {
  readonly requests: readonly RecentRequest[];
  /** On the page of an agent all are of that agent. */
  readonly isOfAgent?: boolean;
}

/** Requests that have ended, the newest first. */
export function RequestTable({ requests, isOfAgent = false }: RequestTableProps) {
  return (
    <Table label="Requests" isStacked>
      <thead>
        <tr>
          <th scope="col">Ended</th>
          <th scope="col" class="number">
            Status
          </th>
          <th scope="col" class="number">
            Took
          </th>
          {!isOfAgent && <th scope="col">Agent</th>}
          <th scope="col">Instance</th>
          <th scope="col">What</th>
          <th scope="col">Request id</th>
        </tr>
      </thead>
      <tbody>
        {requests.map((one) => (
          <tr key={`${one.requestId} ${one.at}`} data-testid="request-row" data-code={one.code ?? ''}>
            <td>
              <When iso={one.at} only="absolute" />
            </td>
            <td class="number">
              <span class={one.status >= 500 ? 'bad' : undefined}>{one.status}</span>
            </td>
            <td class="number">{millisecondsText(one.durationMs)}</td>
            {!isOfAgent && (
              <td>
                <Agent request={one} />
              </td>
            )}
            <td>{one.instance ?? '–'}</td>
            <td>{whatOf(one)}</td>
            <td>
              <Id text={one.requestId} what="request id" />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function Agent({ request: { pool, user, session } }: { readonly request: RecentRequest }) {
  if (pool !== null && user !== null) return <a href={toAgent(pool, user)}>{showHidden(user)}</a>;
  if (pool !== null && session !== null) return <a href={toAgent(pool, session, 'session')}>session</a>;
  return <>–</>;
}

const ACTS = { logon: 'log-on', logoff: 'log-off' } as const;

function whatOf({ decision, attempts, operation, act, code }: RecentRequest) {
  const done = act === null ? operation : `${operation ?? ''} (${ACTS[act]})`;
  const way = attempts > 1 ? `${decision}, ${attempts} tries` : decision;
  return (
    <>
      {[done === null ? '' : showHidden(done), way].filter(Boolean).join(', ')}
      {code !== null && (
        <>
          {' '}
          <code class="bad">{code}</code>
        </>
      )}
    </>
  );
}

/** What is missing in a list of requests. */
export function gapOf({ missed, silent, hasEnded }: Followed): string | undefined {
  const gaps = [
    missed > 0 && `${count(missed, 'request')} came and went unseen: choose filters to see all.`,
    silent.length > 0 && `${list(silent)} did not answer in time; its requests come later.`,
    hasEnded && 'A worker has ended, and its last requests are in the log only.',
  ].filter(Boolean);
  return gaps.length === 0 ? undefined : gaps.join(' ');
}
