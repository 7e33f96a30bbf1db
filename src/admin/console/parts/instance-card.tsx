import type { InstanceStatus, PoolStatus } from '../data/contract.ts';
import { toAgents, toDrain } from '../logic/place.ts';
import { instanceWord, otherWords } from '../logic/served.ts';
import { count, number, percent } from '../logic/text.ts';
import { Badge } from './badge.tsx';
import type { Fact } from './facts.tsx';
import { Facts } from './facts.tsx';
import { When } from './when.tsx';

interface InstanceCardProps {
  readonly pool: PoolStatus;
  readonly instance: InstanceStatus;
}

/** One instance with its state in a word. What is healthy is quiet. */
export function InstanceCard({ pool, instance }: InstanceCardProps) {
  const { id, health, healthSince, admin, boundAgents, inFlight, queued } = instance;
  const { level, word } = instanceWord(instance);
  const facts: readonly Fact[] = [
    ['Agents', <Load key="load" pool={pool} instance={instance} />],
    ['In flight', count(inFlight, 'request')],
    ['Queue', queued === 0 ? undefined : count(queued, 'request')],
    ['Last probe', <Probe key="probe" instance={instance} />],
    ['Reports', instance.reports.length > 0 ? <Reports instance={instance} /> : undefined],
    ['Incarnation', <Incarnation key="incarnation" instance={instance} />],
    ['Operator', admin === 'enabled' ? undefined : <ActText instance={instance} />],
  ];
  return (
    <article class={`card level-${level}`} data-testid="instance-card" data-instance={id} data-state={word}>
      <header>
        <h4>
          <code>{id}</code>
        </h4>
        <Badge level={level}>{word}</Badge>
        <OtherWords instance={instance} />
        {pool.mode === 'failover' && instance.active && <span class="tag">active</span>}
        {health !== 'up' && healthSince !== null && (
          <span class="muted">
            since <When iso={healthSince} />
          </span>
        )}
      </header>
      <Facts facts={facts} />
      {admin === 'draining' && <a href={toDrain(pool.name, id)}>Drain: {number(boundAgents)} left</a>}
    </article>
  );
}

/** What the badge leaves out. */
export function OtherWords({ instance }: { readonly instance: InstanceStatus }) {
  return (
    <>
      {otherWords(instance).map((word) => (
        <span key={word} class="tag">
          {word}
        </span>
      ))}
    </>
  );
}

function Load({ pool, instance }: InstanceCardProps) {
  const { id, boundAgents, share, weightShare } = instance;
  return (
    <>
      <a href={toAgents({ pool: pool.name, instance: id })}>{number(boundAgents)}</a>
      {pool.mode === 'sticky' && (
        <span class="muted">
          {' '}
          · {percent(share)} (weight {percent(weightShare)})
        </span>
      )}
    </>
  );
}

/** When it was probed from here, and what failed. */
export function Probe({ instance: { lastProbe } }: { readonly instance: InstanceStatus }) {
  if (lastProbe === null) return <span class="muted">none yet</span>;
  return (
    <>
      {lastProbe.ok ? 'ok' : <span class="bad">{lastProbe.text}</span>}{' '}
      <span class="muted">
        <When iso={lastProbe.at} only="relative" />
      </span>
    </>
  );
}

/** What each gateway found. Quiet while all of them agree. */
export function Reports({ instance: { reports } }: { readonly instance: InstanceStatus }) {
  if (reports.length === 0) return null;
  const [first] = reports;
  if (first?.verdict === 'up' && reports.every(({ verdict }) => verdict === 'up'))
    return (
      <span class="muted">
        up, by {reports.length === 1 ? 'this gateway' : `all ${reports.length} gateways`}
      </span>
    );
  return (
    <ul class="reports">
      {reports.map(({ replica, verdict }) => (
        <li key={replica}>
          <code>{replica}</code>{' '}
          <Badge level={verdict === 'up' ? 'ok' : verdict === 'down' ? 'critical' : 'unknown'}>
            {verdict}
          </Badge>
        </li>
      ))}
    </ul>
  );
}

export function Incarnation({ instance: { incarnation, lives } }: { readonly instance: InstanceStatus }) {
  return (
    <span class="muted">
      {isShown(incarnation) ? <code>{incarnation}</code> : 'not shown'} · {number(lives)}{' '}
      {lives === 1 ? 'start' : 'starts'} seen
    </span>
  );
}

/** Gateways count the starts of an instance whose health page shows no incarnation: `+3` is the third. */
function isShown(incarnation: string | null): boolean {
  return incarnation !== null && !incarnation.startsWith('+');
}

/** Who set the state of the instance, and why. */
export function ActText({ instance: { act, admin } }: { readonly instance: InstanceStatus }) {
  if (act === null) return admin === 'enabled' ? null : <span class="muted">{admin} by configuration</span>;
  return (
    <span class="act-text">
      {admin === 'enabled' && 'enabled '}by {act.by}: {act.why}{' '}
      <span class="muted">
        <When iso={act.at} only="relative" />
        {act.deadline !== null && (
          <>
            , until <When iso={act.deadline} />
          </>
        )}
      </span>
    </span>
  );
}
