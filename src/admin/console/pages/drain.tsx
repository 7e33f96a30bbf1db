import { useEffect, useState } from 'preact/hooks';
import { speak } from '../data/announcer.ts';
import type { DrainAnswer } from '../data/contract.ts';
import { live, useChangesOf } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { route } from '../data/route.ts';
import { useStore } from '../data/store.ts';
import { command } from '../logic/acts.ts';
import { toAgent, toAgents, toPool } from '../logic/place.ts';
import { count, number, showHidden } from '../logic/text.ts';
import { durationText } from '../logic/time.ts';
import { ActButton } from '../parts/act-button.tsx';
import { Copy } from '../parts/copy.tsx';
import { Facts } from '../parts/facts.tsx';
import { ActText } from '../parts/instance-card.tsx';
import { Page, WhyNoActs } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { Table } from '../parts/table.tsx';
import { LastRequest, When } from '../parts/when.tsx';

const POLL_MS = 5_000;
const STALE_AFTER_MS = 15_000;
const LIMIT = 100;

/** Who is left on an instance that is drained, and how to end it. */
export function DrainPage() {
  const { pool, instance } = useStore(route).place;
  const source = usePoll<DrainAnswer>(
    `/pools/${encodeURIComponent(pool)}/drain/${encodeURIComponent(instance)}?limit=${LIMIT}`,
    POLL_MS,
    useChangesOf(pool),
  );
  const { data } = source;
  const most = useMost(data?.remaining);
  const left = data?.remaining;
  useEffect(() => {
    if (left === 0) speak(`No agent is left on ${instance}`);
  }, [left, instance]);
  const words = ['admin', 'drain', pool, instance, '--watch'];
  return (
    <Page name="drain" title={`Drain of ${instance}`} heading={headingOf(instance, data)}>
      <WhyNoActs />
      <p class="buttons">
        {data?.admin === 'enabled' && <ActButton verb="drain" pool={pool} instance={instance} isMain />}
        {data?.admin === 'draining' && (
          <ActButton verb="disable" pool={pool} instance={instance} label={endLabel(data.remaining)} isMain />
        )}
        {data !== undefined && data.admin !== 'enabled' && (
          <ActButton verb="enable" pool={pool} instance={instance} />
        )}
        <Copy isWide what="command" text={command(words, location.origin)} />
        <a href={toPool(pool)}>Pool {pool}</a>
      </p>
      <Panel name="drain" title="Progress" source={source} staleAfter={STALE_AFTER_MS}>
        {(answer) => <Progress answer={answer} pool={pool} most={most} />}
      </Panel>
      <Panel
        name="agents"
        title="Agents left"
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={({ agents, next }) => (agents.length === 0 && next === null ? 'No agent is left.' : undefined)}
        partial={({ agents, remaining }) =>
          agents.length < remaining
            ? `${count(agents.length, 'agent')} of ${number(remaining)} are shown.`
            : undefined
        }
      >
        {(answer) => <Left answer={answer} pool={pool} />}
      </Panel>
    </Page>
  );
}

function endLabel(remaining: number): string {
  return remaining === 0 ? 'End now' : `End now: ${count(remaining, 'agent')} must log on again`;
}

function headingOf(instance: string, data: DrainAnswer | undefined): string {
  if (data === undefined) return `Drain of ${instance}`;
  const { admin, remaining } = data;
  if (admin === 'enabled') return `${instance} is not drained: it takes agents.`;
  if (admin === 'disabled')
    return remaining === 0
      ? `${instance} is disabled and free of agents.`
      : `${instance} is disabled; ${count(remaining, 'agent')} will be moved by the next request.`;
  return remaining === 0
    ? `${instance} is drained: no agent is left.`
    : `${instance} drains: ${count(remaining, 'agent')} left.`;
}

/** The most agents that were seen while the page is open. */
function useMost(remaining: number | undefined): number {
  const [most, setMost] = useState(0);
  useEffect(() => {
    if (remaining !== undefined) setMost((before) => Math.max(before, remaining));
  }, [remaining]);
  return Math.max(most, remaining ?? 0);
}

interface ProgressProps {
  readonly answer: DrainAnswer;
  readonly pool: string;
  readonly most: number;
}

function Progress({ answer, pool, most }: ProgressProps) {
  const { instance, admin, deadline, remaining } = answer;
  const { status } = useStore(live);
  const shown = status?.pools.find(({ name }) => name === pool)?.instances.find(({ id }) => id === instance);
  return (
    <>
      <progress max={Math.max(most, 1)} value={most - remaining} aria-label="Agents that have gone" />
      <Facts
        facts={[
          [admin === 'enabled' ? 'Agents' : 'Agents left', <strong key="left">{number(remaining)}</strong>],
          ['Have logged off', answer.loggedOff == null ? undefined : number(answer.loggedOff)],
          [
            'Last binding ends',
            answer.lastEnd != null && (
              <>
                <When iso={answer.lastEnd} /> <span class="muted">if no agent sends a request</span>
              </>
            ),
          ],
          ['Gone since this page was opened', number(most - remaining)],
          ['In flight', shown === undefined ? undefined : count(shown.inFlight, 'request')],
          ['State', admin],
          [
            'Ends at the latest',
            deadline === null ? (
              admin === 'draining' ? (
                'when the last agent has gone'
              ) : undefined
            ) : (
              <When iso={deadline} />
            ),
          ],
          ['Operator', shown?.act && <ActText instance={shown} />],
        ]}
      />
    </>
  );
}

function Left({ answer, pool }: { readonly answer: DrainAnswer; readonly pool: string }) {
  const { agents, instance, lastActiveWithinSeconds, next } = answer;
  const latest = agents.toSorted((a, b) => (a.lastActive < b.lastActive ? 1 : -1));
  return (
    <>
      <Table label="Agents left">
        <thead>
          <tr>
            <th scope="col">Agent</th>
            <th scope="col">Last request</th>
            <th scope="col" class="number">
              Ends in
            </th>
          </tr>
        </thead>
        <tbody>
          {latest.map(({ name, lastActive, loggedOff, expiresInSeconds }) => (
            <tr key={name} data-testid="agent-row" data-agent={name}>
              <th scope="row">
                <code>
                  <a href={linkOf(pool, name)}>{showHidden(name)}</a>
                </code>
              </th>
              <td>
                <LastRequest iso={lastActive} withinSeconds={lastActiveWithinSeconds} />
              </td>
              <td class="number">
                {durationText(expiresInSeconds * 1_000)}
                {loggedOff && <span class="muted"> logged off</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </Table>
      {next !== null && (
        <p class="below">
          <a href={toAgents({ pool, instance })}>All of them</a>
        </p>
      )}
    </>
  );
}

/** The route lists sessions and addresses after their kind. */
function linkOf(pool: string, name: string): string {
  const [, kind = 'user', value = name] = /^(session|address):(.+)$/.exec(name) ?? [];
  return toAgent(pool, value, kind);
}
