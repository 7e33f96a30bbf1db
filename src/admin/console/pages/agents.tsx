import type { AgentLine, AgentPage } from '../data/contract.ts';
import { live, useChangesOf } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { filter, route } from '../data/route.ts';
import { useStore } from '../data/store.ts';
import { sorted } from '../logic/agents.ts';
import { toAgent, toAgents } from '../logic/place.ts';
import { count, showHidden } from '../logic/text.ts';
import { durationText } from '../logic/time.ts';
import { Field, PoolField } from '../parts/filters.tsx';
import { Page } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { SortHead } from '../parts/sort-head.tsx';
import { Table } from '../parts/table.tsx';
import { LastRequest, When } from '../parts/when.tsx';

const POLL_MS = 10_000;
const STALE_AFTER_MS = 25_000;
const LIMIT = 100;
const IDLE = ['5m', '30m', '2h', '8h'];

/** Who is bound where, as the store lists it. All filters are in the address. */
export function Agents() {
  const { status, problem } = useStore(live);
  const { query } = useStore(route).place;
  const pools = status?.pools ?? [];
  const pool = pools.find(({ name }) => name === query['pool']) ?? pools[0];
  const polled = usePoll<AgentPage>(
    pool === undefined ? undefined : pathOf(pool.name, query),
    POLL_MS,
    useChangesOf(pool?.name ?? ''),
  );
  // Without a status no pool can be asked, for the same reason.
  const source = pool === undefined ? { ...polled, problem } : polled;
  const idle = query['idle'] ?? '';
  return (
    <Page name="agents" title="Agents">
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <PoolField pools={pools} value={pool?.name ?? ''} />
        <Field label="Name begins with">
          <input
            data-testid="filter-prefix"
            type="search"
            value={query['prefix'] ?? ''}
            onInput={({ currentTarget }) => filter({ prefix: currentTarget.value, cursor: '' })}
          />
        </Field>
        <Field label="Instance">
          <select
            data-testid="filter-instance"
            value={query['instance'] ?? ''}
            onChange={({ currentTarget }) => filter({ instance: currentTarget.value, cursor: '' })}
          >
            <option value="">all</option>
            {pool?.instances.map(({ id }) => (
              <option key={id} value={id}>
                {id}
              </option>
            ))}
          </select>
        </Field>
        <Field label="No request for">
          <select
            data-testid="filter-idle"
            value={idle}
            onChange={({ currentTarget }) => filter({ idle: currentTarget.value, cursor: '' })}
          >
            <option value="">any time</option>
            {(IDLE.includes(idle) || idle === '' ? IDLE : [idle, ...IDLE]).map((time) => (
              <option key={time} value={time}>
                {time}
              </option>
            ))}
          </select>
        </Field>
      </form>
      <Panel
        name="agents"
        title={pool === undefined ? 'Agents' : `Agents of pool ${pool.name}`}
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={({ agents, next }) =>
          agents.length === 0 && next === null ? 'No agent is bound that fits these filters.' : undefined
        }
      >
        {(page) => <AgentTable pool={pool?.name ?? ''} page={page} query={query} />}
      </Panel>
    </Page>
  );
}

function pathOf(pool: string, query: Readonly<Record<string, string>>): string {
  const asked = new URLSearchParams({ limit: String(LIMIT) });
  const given = { prefix: query['prefix'], instance: query['instance'], idleSince: query['idle'] };
  for (const [name, value] of Object.entries({ ...given, cursor: query['cursor'] }))
    if (value) asked.set(name, value);
  return `/pools/${encodeURIComponent(pool)}/agents?${asked}`;
}

interface AgentTableProps {
  readonly pool: string;
  readonly page: AgentPage;
  readonly query: Readonly<Record<string, string>>;
}

const IDENTITY: Readonly<Record<AgentLine['identity'], string>> = {
  asserted: 'header or cookie',
  found: 'SOAP body',
  address: 'client address',
};

function AgentTable({ pool, page, query }: AgentTableProps) {
  const { agents, lastActiveWithinSeconds, next } = page;
  const sort = query['sort'] ?? 'name';
  return (
    <>
      <Table label="Agents">
        <thead>
          <tr>
            <SortHead column="name" sort={sort}>
              Agent
            </SortHead>
            <th scope="col" class="wide">
              Group
            </th>
            <SortHead column="instance" sort={sort}>
              Instance
            </SortHead>
            <SortHead column="boundSince" sort={sort}>
              Bound since
            </SortHead>
            <SortHead column="lastActive" sort={sort}>
              Last request
            </SortHead>
            <th scope="col" class="wide">
              Named by
            </th>
            <th scope="col" class="wide number">
              Ends in
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted(agents, sort).map((agent) => (
            <tr key={`${agent.kind} ${agent.name}`} data-testid="agent-row" data-agent={agent.name}>
              <th scope="row">
                <code>
                  <a href={toAgent(pool, agent.name, agent.kind)}>{showHidden(agent.name)}</a>
                </code>
                {agent.kind !== 'user' && <span class="muted"> {agent.kind}</span>}
              </th>
              <td class="wide">{agent.group && showHidden(agent.group)}</td>
              <td>
                <code>{agent.instance}</code>
              </td>
              <td>
                {agent.boundSince === null ? (
                  <span class="muted">not known</span>
                ) : (
                  <When iso={agent.boundSince} />
                )}
              </td>
              <td>
                <LastRequest iso={agent.lastActive} withinSeconds={lastActiveWithinSeconds} />
              </td>
              <td class="wide">{IDENTITY[agent.identity]}</td>
              <td class="wide number">
                {durationText(agent.expiresInSeconds * 1_000)}
                {agent.loggedOff && <span class="muted"> logged off</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </Table>
      <p class="below">
        {count(agents.length, 'agent')} on this page, sorted within it.{' '}
        {query['cursor'] !== undefined && (
          <a href={toAgents({ ...query, cursor: '' })} data-testid="first-page">
            First page
          </a>
        )}{' '}
        {next !== null && (
          <a href={toAgents({ ...query, pool, cursor: next })} data-testid="next-page">
            Next page
          </a>
        )}
      </p>
    </>
  );
}
