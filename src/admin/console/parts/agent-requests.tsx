import type { AgentStatus, PoolEvent } from '../data/contract.ts';
import { useFollowed } from '../data/follow.ts';
import { usePoll } from '../data/poll.ts';
import { toLive } from '../logic/place.ts';
import { timelineOf } from '../logic/timeline.ts';
import { Panel } from './panel.tsx';
import { gapOf, RequestTable } from './request-table.tsx';
import { When } from './when.tsx';

const STALE_AFTER_MS = 15_000;
const EVENTS_POLL_MS = 10_000;
const SHOWN = 20;

interface AgentRequestsProps {
  readonly pool: string;
  readonly kind: 'user' | 'session';
  readonly name: string;
  /** `undefined` if it is not bound. */
  readonly agent: AgentStatus | undefined;
}

/** What happened to one agent lately, and the requests from which that follows. */
export function AgentRequests({ pool, kind, name, agent }: AgentRequestsProps) {
  const asked = { pool, [kind]: name };
  const source = useFollowed(new URLSearchParams(asked).toString(), false);
  const events = usePoll<{ readonly events: readonly PoolEvent[] }>(
    `/pools/${encodeURIComponent(pool)}/events?limit=100`,
    EVENTS_POLL_MS,
  );
  return (
    <>
      <Panel
        name="timeline"
        title="What happened lately"
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={({ requests }) =>
          timelineOf(requests, agent, events.data?.events ?? []).length === 0
            ? 'No log-on, move or error is known.'
            : undefined
        }
      >
        {({ requests }) => (
          <ol class="plain" data-testid="timeline">
            {timelineOf(requests, agent, events.data?.events ?? []).map(({ at, text, isBad }) => (
              <li key={`${at} ${text}`}>
                <When iso={at} /> <span class={isBad ? 'bad' : undefined}>{text}</span>
              </li>
            ))}
          </ol>
        )}
      </Panel>
      <Panel
        name="requests"
        title="Last requests through this gateway"
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={({ requests }) =>
          requests.length === 0
            ? 'This gateway keeps no request of the agent. Another gateway may have some.'
            : undefined
        }
        partial={gapOf}
        side={<a href={toLive(asked)}>Live</a>}
      >
        {({ requests }) => <RequestTable requests={requests.slice(0, SHOWN)} isOfAgent />}
      </Panel>
    </>
  );
}
