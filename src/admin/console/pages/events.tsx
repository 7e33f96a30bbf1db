import type { PoolEvent, SecurityEntry } from '../data/contract.ts';
import { live, useChangesOf } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { filter, route } from '../data/route.ts';
import { session, whyNot } from '../data/session.ts';
import { useStore } from '../data/store.ts';
import { command } from '../logic/acts.ts';
import { EVENT_KINDS, eventsCsv, eventText, isUnreadSince, sinceOf } from '../logic/events.ts';
import { Copy } from '../parts/copy.tsx';
import { Download } from '../parts/download.tsx';
import { Field, PoolField } from '../parts/filters.tsx';
import { Page } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { Table } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

const POLL_MS = 5_000;
const STALE_AFTER_MS = 15_000;
const LIMIT = 200;

/** What happened, who did it, and why. */
export function Events() {
  const { status, problem } = useStore(live);
  const { session: current } = useStore(session);
  const { query } = useStore(route).place;
  const pools = status?.pools ?? [];
  const pool = pools.find(({ name }) => name === query['pool']) ?? pools[0];
  const asked = askedOf(query);
  const polled = usePoll<{ readonly events: readonly PoolEvent[] }>(
    pool === undefined ? undefined : `/pools/${encodeURIComponent(pool.name)}/events?${asked}`,
    POLL_MS,
    useChangesOf(pool?.name ?? ''),
  );
  // Without a status no pool can be asked, for the same reason.
  const source = pool === undefined ? { ...polled, problem } : polled;
  const events = source.data?.events ?? [];
  const words = ['admin', 'events', pool?.name ?? '', ...optionsOf(asked)];
  return (
    <Page name="events" title="Events">
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <PoolField pools={pools} value={pool?.name ?? ''} />
        <Field label="Kind">
          <select
            data-testid="filter-kind"
            value={query['kind'] ?? ''}
            onChange={({ currentTarget }) => filter({ kind: currentTarget.value })}
          >
            <option value="">all</option>
            {Object.entries(EVENT_KINDS).map(([kind, text]) => (
              <option key={kind} value={kind}>
                {text}
              </option>
            ))}
          </select>
        </Field>
        <Field label="Instance">
          <select
            data-testid="filter-instance"
            value={query['instance'] ?? ''}
            onChange={({ currentTarget }) => filter({ instance: currentTarget.value })}
          >
            <option value="">all</option>
            {pool?.instances.map(({ id }) => (
              <option key={id} value={id}>
                {id}
              </option>
            ))}
          </select>
        </Field>
        <Field label="By">
          <input
            data-testid="filter-by"
            type="search"
            value={query['by'] ?? ''}
            onInput={({ currentTarget }) => filter({ by: currentTarget.value })}
          />
        </Field>
        <Field label="Since">
          <input
            data-testid="filter-since"
            size={30}
            placeholder="24h, or 2026-03-01T22:00:00Z"
            aria-invalid={isUnreadSince(query['since'] ?? '')}
            value={query['since'] ?? ''}
            onInput={({ currentTarget }) => filter({ since: currentTarget.value })}
          />
        </Field>
      </form>
      <Panel
        name="events"
        title={pool === undefined ? 'Events' : `Events of pool ${pool.name}`}
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={({ events: all }) => (all.length === 0 ? 'No event fits these filters.' : undefined)}
        partial={({ events: all }) => partOf(query['since'] ?? '', all.length)}
        side={
          <span class="buttons">
            <Download
              name="events.json"
              type="application/json"
              text={() => JSON.stringify(events, null, 2)}
            />
            <Download name="events.csv" type="text/csv" text={() => eventsCsv(events)} />
            <Copy isWide what="command" text={command(words, location.origin)} />
          </span>
        }
      >
        {({ events: all }) => <EventTable events={all} />}
      </Panel>
      {whyNot('admin', current) === undefined && <SecurityPanel />}
    </Page>
  );
}

/** What is not shown, or is shown although it was not asked for. */
function partOf(since: string, shown: number): string | undefined {
  if (isUnreadSince(since))
    return `“${since}” is no time, so events of all times are shown. Write a duration such as 24h, or a time such as 2026-03-01T22:00:00Z.`;
  return shown >= LIMIT ? `The latest ${LIMIT} are shown; choose filters to see earlier ones.` : undefined;
}

function askedOf(query: Readonly<Record<string, string>>): URLSearchParams {
  const asked = new URLSearchParams({ limit: String(LIMIT) });
  const since = sinceOf(query['since'] ?? '');
  const given = { kind: query['kind'], instance: query['instance'], by: query['by']?.trim(), since };
  for (const [name, value] of Object.entries(given)) if (value) asked.set(name, value);
  return asked;
}

function optionsOf(asked: URLSearchParams): string[] {
  return [...asked].flatMap(([name, value]) => [`--${name}`, value]);
}

function EventTable({ events }: { readonly events: readonly PoolEvent[] }) {
  return (
    <Table label="Events" isStacked>
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">What</th>
          <th scope="col">By</th>
          <th scope="col" class="why">
            Why
          </th>
        </tr>
      </thead>
      <tbody>
        {events.map((event) => (
          <tr
            key={`${event.at} ${event.kind} ${event.instance} ${event.to}`}
            data-testid="event-row"
            data-kind={event.kind}
          >
            <td>
              <When iso={event.at} />
            </td>
            <td class="across">
              {eventText(event)}
              {(event.times ?? 1) > 1 && ` (${event.times} times)`}
              {event.kind === 'configured' && <Parts event={event} />}
            </td>
            <td>
              <code>{event.by}</code>
              {event.source !== undefined && ` from ${event.source}`}
            </td>
            <td class="across">{event.why}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** What was agreed before and after: long texts, so they are opened on demand. */
function Parts({ event: { from, to } }: { readonly event: PoolEvent }) {
  return (
    <details>
      <summary>Parts</summary>
      {from !== '' && (
        <p>
          before <code>{from}</code>
        </p>
      )}
      <p>
        after <code>{to}</code>
      </p>
    </details>
  );
}

/** Log-ins and refused acts. Only administrators may read it. */
function SecurityPanel() {
  const source = usePoll<{ readonly entries: readonly SecurityEntry[] }>(
    `/security-log?limit=${LIMIT}`,
    POLL_MS,
  );
  return (
    <Panel
      name="security"
      title="Security log of this gateway"
      source={source}
      staleAfter={STALE_AFTER_MS}
      empty={({ entries }) => (entries.length === 0 ? 'Nothing since this gateway started.' : undefined)}
    >
      {({ entries }) => (
        <Table label="Security log">
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">What</th>
              <th scope="col">User</th>
              <th scope="col">From</th>
              <th scope="col">About</th>
              <th scope="col">Outcome</th>
            </tr>
          </thead>
          <tbody>
            {entries.map((one, index) => (
              <tr key={`${one.at} ${index}`} data-testid="security-row" data-kind={one.kind}>
                <td>
                  <When iso={one.at} />
                </td>
                <td>{one.kind}</td>
                <td>
                  <code>{one.user ?? '–'}</code> {one.role !== null && <span class="muted">{one.role}</span>}
                </td>
                <td>{one.source ?? '–'}</td>
                <td>{[one.act, one.pool, one.instance].filter(Boolean).join(' ')}</td>
                <td>{[one.outcome, one.why].filter(Boolean).join(': ')}</td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
    </Panel>
  );
}
