import type { AgentStatus } from '../data/contract.ts';
import { live, useChangesOf } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { route } from '../data/route.ts';
import { useStore } from '../data/store.ts';
import { command } from '../logic/acts.ts';
import { toAgents, toExplain, toPool } from '../logic/place.ts';
import { number, showHidden } from '../logic/text.ts';
import { durationText } from '../logic/time.ts';
import { ActButton } from '../parts/act-button.tsx';
import { AgentRequests } from '../parts/agent-requests.tsx';
import { Copy, Id } from '../parts/copy.tsx';
import type { Fact } from '../parts/facts.tsx';
import { Facts } from '../parts/facts.tsx';
import { Page, WhyNoActs } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { LastRequest, When } from '../parts/when.tsx';

const POLL_MS = 5_000;
const STALE_AFTER_MS = 15_000;

const GONE = 'gone' as const;

/** Where one agent is, since when, and why. */
export function AgentPage() {
  const { pool, name, query } = useStore(route).place;
  const kind = query['kind'];
  const asked = kind === undefined ? '' : `?kind=${encodeURIComponent(kind)}`;
  const source = usePoll<AgentStatus>(
    `/pools/${encodeURIComponent(pool)}/agents/${encodeURIComponent(name)}${asked}`,
    POLL_MS,
    useChangesOf(pool),
  );
  const isGone = source.problem?.status === 404;
  const data = isGone ? undefined : source.data;
  const heading = showHidden(isGone ? `${name} is not bound in pool ${pool}.` : (data?.sentence ?? name));
  const words = ['admin', 'agent', name, '--pool', pool, ...(kind === undefined ? [] : ['--kind', kind])];
  const shown = isGone ? { ...source, data: GONE, problem: undefined } : source;
  return (
    <Page name="agent" title={name} heading={<span data-testid="agent-sentence">{heading}</span>}>
      <WhyNoActs />
      <p class="buttons">
        <AgentActs asked={name} agent={data} />
        <Copy isWide what="link" text={location.href} />
        <Copy isWide what="command" text={command(words, location.origin)} />
        <a href={toAgents({ pool, instance: data?.instance })}>
          {data === undefined ? 'All agents' : `All agents on ${data.instance}`}
        </a>
      </p>
      <Panel<AgentStatus | typeof GONE>
        name="agent"
        title="Binding"
        source={shown}
        staleAfter={STALE_AFTER_MS}
        empty={(agent) =>
          agent === GONE
            ? 'There is no binding: the agent has sent no request yet, has sent none for affinity.idleLifetime, or was forgotten.'
            : undefined
        }
        partial={(agent) =>
          agent !== GONE && agent.generation !== null && agent.boundSince === null
            ? 'Since when and why is not known: an earlier release made this binding.'
            : undefined
        }
      >
        {(agent) =>
          agent !== GONE && (
            <>
              <Facts facts={factsOf(agent)} />
              {agent.kind === 'user' && (
                <p>
                  <a href={toExplain({ pool, user: agent.name })}>How a request would be routed now</a>
                </p>
              )}
            </>
          )
        }
      </Panel>
      <RequestsOf asked={name} pool={pool} kind={kind} agent={data} isGone={isGone} />
    </Page>
  );
}

interface RequestsOfProps {
  readonly asked: string;
  readonly pool: string;
  readonly kind: string | undefined;
  readonly agent: AgentStatus | undefined;
  readonly isGone: boolean;
}

/** Requests bear users and sessions; an agent who is known by address has neither. */
function RequestsOf({ asked, pool, kind, agent, isGone }: RequestsOfProps) {
  if (agent === undefined && !isGone) return null;
  const known = agent?.kind ?? (kind === 'session' ? 'session' : 'user');
  if (known === 'address') return null;
  return <AgentRequests pool={pool} kind={known} name={agent?.name ?? asked} agent={agent} />;
}

interface AgentActsProps {
  /** The name in the address. */
  readonly asked: string;
  readonly agent: AgentStatus | undefined;
}

/** Move and Forget, or why they cannot be done. */
function AgentActs({ asked, agent }: AgentActsProps) {
  const { status } = useStore(live);
  if (agent === undefined) return null;
  const { pool, instance } = agent;
  const instances = status?.pools.find(({ name }) => name === pool)?.instances ?? [];
  const name = namedFor(agent, asked);
  const unless = whyFixed(agent, name);
  const of = { pool, agent: name ?? { kind: agent.kind, name: agent.name } };
  const isAlone = instances.length < 2 ? 'The pool has one instance only.' : undefined;
  return (
    <>
      <ActButton verb="move" {...of} instance={instance} unless={unless ?? isAlone} isMain />
      <ActButton verb="forget" {...of} unless={unless} />
    </>
  );
}

type ActName = { readonly kind: string; readonly name: string };

/** The name by which the gateway acts on the agent: a user, or a session itself, whose hash does not do. */
function namedFor({ kind, name }: AgentStatus, asked: string): ActName | undefined {
  if (kind === 'user') return { kind, name };
  return kind === 'session' && asked !== name ? { kind, name: asked } : undefined;
}

function whyFixed({ mode, kind }: AgentStatus, name: ActName | undefined): string | undefined {
  if (mode === 'failover') return 'In a failover pool all agents are on the active instance.';
  if (name !== undefined) return undefined;
  return kind === 'session'
    ? 'Only the hash of the session is known here. Find the agent by the session itself.'
    : 'An agent who is known by address only cannot be moved or forgotten.';
}

const IDENTITY: Readonly<Record<NonNullable<AgentStatus['identity']>, string>> = {
  asserted: 'a header or cookie that SAP sends',
  found: 'the SOAP body only',
  address: 'the address of the client',
};

function factsOf(agent: AgentStatus): readonly Fact[] {
  const { cause } = agent;
  return [
    ['Agent', <Id key="name" text={agent.name} what="agent" />],
    ['Pool', <a key="pool" href={toPool(agent.pool)}>{`${agent.pool} (${agent.mode})`}</a>],
    ['Group', agent.group && showHidden(agent.group)],
    ['Instance', <Id key="instance" text={agent.instance} what="instance" />],
    [
      'Incarnation',
      <>
        {agent.incarnation === null ? 'not shown' : <Id text={agent.incarnation} what="incarnation" />}{' '}
        {!agent.current && <span class="bad">ended: the next request moves the agent</span>}
      </>,
    ],
    ['Moving to', agent.moving === null ? undefined : <code>{agent.moving.to}</code>],
    ['Bound since', agent.boundSince === null ? 'not known' : <When iso={agent.boundSince} />],
    ['Cause', cause.kind],
    ['At gateway', cause.gateway && <code>{cause.gateway}</code>],
    ['Balancer', cause.balancer],
    ['Epoch', cause.epoch !== null && number(cause.epoch)],
    ['By', cause.by],
    ['Reason', cause.why],
    [
      'Last request',
      agent.lastActive !== null && (
        <LastRequest iso={agent.lastActive} withinSeconds={agent.lastActiveWithinSeconds} />
      ),
    ],
    [
      'Ends',
      agent.expiresInSeconds !== null &&
        `in ${durationText(agent.expiresInSeconds * 1_000)} without a request${agent.loggedOff ? ', because the agent has logged off' : ''}`,
    ],
    ['Named by', agent.identity && IDENTITY[agent.identity]],
    ['Generation', agent.generation !== null && number(agent.generation)],
    [
      'Other names',
      agent.aliases.length === 0 ? undefined : (
        <ul class="plain">
          {agent.aliases.map((alias) => (
            <li key={`${alias.kind} ${alias.name}`}>
              {alias.kind} <Id text={alias.name} what={alias.kind} />
            </li>
          ))}
        </ul>
      ),
    ],
  ];
}
