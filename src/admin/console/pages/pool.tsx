import type { InstanceStatus, PoolStatus } from '../data/contract.ts';
import { live, STALE_AFTER_MS } from '../data/live.ts';
import { route } from '../data/route.ts';
import { useStore } from '../data/store.ts';
import { toAgents, toDrain, toEvents, toHistory, toPool } from '../logic/place.ts';
import { instanceWord } from '../logic/served.ts';
import { count, list, number, percent, showHidden } from '../logic/text.ts';
import { ActButton } from '../parts/act-button.tsx';
import { Badge } from '../parts/badge.tsx';
import { Differences } from '../parts/differences.tsx';
import type { Fact } from '../parts/facts.tsx';
import { Facts } from '../parts/facts.tsx';
import { ActText, Incarnation, OtherWords, Probe, Reports } from '../parts/instance-card.tsx';
import { NamingPanel } from '../parts/naming-panel.tsx';
import { Page, WhyNoActs } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { standingLevel, View } from '../parts/pool-table.tsx';
import { Table } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

/** One pool: its instances with all acts, and what the gateways agree on. */
export function PoolPage() {
  const { pool: asked } = useStore(route).place;
  const { status, at, problem } = useStore(live);
  const name = asked === '' ? (status?.pools[0]?.name ?? '') : asked;
  const pool = status?.pools.find((one) => one.name === name);
  const source = { data: status === undefined ? undefined : { pool }, at, problem };
  const unknown = `No pool is named ${name}; there is ${list(status?.pools.map((one) => one.name) ?? [])}.`;
  const isUnknown = ({ pool: found }: { readonly pool: PoolStatus | undefined }): string | undefined =>
    found === undefined ? unknown : undefined;
  return (
    <Page
      name="pool"
      title={`Pool ${name}`.trim()}
      side={<PoolTabs pools={status?.pools ?? []} name={name} />}
    >
      <WhyNoActs />
      <Panel name="instances" title="Instances" source={source} staleAfter={STALE_AFTER_MS} empty={isUnknown}>
        {(held) => held.pool && <InstanceTable pool={held.pool} />}
      </Panel>
      <Panel name="pool" title="Agreement" source={source} staleAfter={STALE_AFTER_MS} empty={isUnknown}>
        {(held) => held.pool && <PoolFacts pool={held.pool} />}
      </Panel>
      <Panel
        name="configuration"
        title="Configuration of the gateways"
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={isUnknown}
      >
        {(held) => held.pool && <Differences pool={held.pool} />}
      </Panel>
      {pool !== undefined && mayNameAgents(pool) && <NamingPanel key={name} pool={name} />}
    </Page>
  );
}

/** A failover pool only if it tells moved agents to log on again. */
function mayNameAgents({ mode, identitySources }: PoolStatus): boolean {
  return mode === 'sticky' || identitySources.length > 0;
}

function PoolTabs({ pools, name }: { readonly pools: readonly PoolStatus[]; readonly name: string }) {
  if (pools.length < 2) return null;
  return (
    <nav class="tabs" aria-label="Pools">
      {pools.map((one) => (
        <a key={one.name} href={toPool(one.name)} aria-current={one.name === name ? 'page' : undefined}>
          {one.name}
        </a>
      ))}
    </nav>
  );
}

function InstanceTable({ pool }: { readonly pool: PoolStatus }) {
  return (
    <Table label="Instances" isStacked>
      <thead>
        <tr>
          <th scope="col">Instance</th>
          <th scope="col">State</th>
          <th scope="col" class="number">
            Agents
          </th>
          <th scope="col" class="number wide">
            In flight
          </th>
          <th scope="col" class="number wide">
            {pool.mode === 'sticky' ? 'Weight' : 'Priority'}
          </th>
          <th scope="col">Acts</th>
        </tr>
      </thead>
      <tbody>
        {pool.instances.map((instance) => (
          <InstanceRow key={instance.id} pool={pool} instance={instance} />
        ))}
      </tbody>
    </Table>
  );
}

function InstanceRow({ pool, instance }: { readonly pool: PoolStatus; readonly instance: InstanceStatus }) {
  const { id, url, admin, boundAgents, inFlight, queued, weight, priority, weightShare } = instance;
  const { level, word } = instanceWord(instance);
  return (
    <tr data-testid="instance-card" data-instance={id} data-state={word}>
      <th scope="row">
        <code>{id}</code> {pool.mode === 'failover' && instance.active && <span class="tag">active</span>}
        <div class="muted small url">
          <code>{url}</code>
        </div>
      </th>
      <td class="across">
        <Badge level={level}>{word}</Badge> <OtherWords instance={instance} /> <ActText instance={instance} />
        <div class="small">
          probe <Probe instance={instance} /> <span class="muted separator">·</span>{' '}
          <Reports instance={instance} />
        </div>
        <Answers answers={instance.answers} />
        <Relays relays={instance.relays} />
        <div class="small wide">
          <Incarnation instance={instance} />
        </div>
      </td>
      <td class="number">
        <a href={toAgents({ pool: pool.name, instance: id })}>{number(boundAgents)}</a>
        <GroupsText groups={instance.groups} />
      </td>
      <td class="number wide">
        {number(inFlight)}
        {queued > 0 && ` + ${number(queued)} queued`}
      </td>
      <td class="number wide">
        {pool.mode === 'sticky' ? number(weight) : number(priority)}
        {pool.mode === 'sticky' && <span class="muted"> ({percent(weightShare)})</span>}
      </td>
      <td class="across">
        <InstanceActs pool={pool} instance={instance} />
        {admin === 'draining' && (
          <a class="beside" href={toDrain(pool.name, id)}>
            Who is left
          </a>
        )}
      </td>
    </tr>
  );
}

/** Nothing before the first answer, and from a gateway of an earlier release. */
function Answers({ answers }: { readonly answers: InstanceStatus['answers'] | undefined }) {
  if (answers == null) return null;
  const { p50Ms, p99Ms, longest } = answers;
  return (
    <div class="muted small">
      answers half of the probes in {number(p50Ms)} ms, 99 % in {number(p99Ms)} ms
      {longest !== null && (
        <>
          ; longest silence {number(longest.ms)} ms <When iso={longest.at} only="relative" />
        </>
      )}
    </div>
  );
}

/** Nothing as long as nothing is relayed, and from a gateway of an earlier release. */
function Relays({ relays }: { readonly relays: InstanceStatus['relays'] | undefined }) {
  if (relays == null) return null;
  const { active, sent, taken } = relays;
  if (!active && sent === 0 && taken === 0) return null;
  return (
    <div class="small">
      {active && <span class="tag">through peers</span>}{' '}
      <span class="muted">
        {count(sent, 'request')} to peers and {number(taken)} from peers in 15 minutes
      </span>
    </div>
  );
}

function Rebalance({ pool: { name, rebalance } }: { readonly pool: PoolStatus }) {
  if (rebalance === null)
    return (
      <>
        agents stay as they log on again{' '}
        <span class="buttons">
          <ActButton verb="rebalance" pool={name} />
        </span>
      </>
    );
  const { until, by } = rebalance;
  // The configuration says so, and no operator can end it.
  if (until === null) return <>agents move as they log on again</>;
  return (
    <>
      agents move as they log on again, until <When iso={until} />{' '}
      <span class="muted">by {showHidden(by)}</span>{' '}
      <span class="buttons">
        <ActButton verb="rebalance-end" pool={name} />
      </span>
    </>
  );
}

/** Nothing without groups, and from a gateway of an earlier release. */
function GroupsText({ groups }: { readonly groups: InstanceStatus['groups'] | undefined }) {
  if (groups == null || groups.largest === null) return null;
  const { number: some, agents, largest } = groups;
  return (
    <div class="muted small">
      {count(some, 'group')} of {count(agents, 'agent')}, largest {showHidden(largest.name)} (
      {number(largest.agents)})
    </div>
  );
}

function InstanceActs({ pool, instance }: { readonly pool: PoolStatus; readonly instance: InstanceStatus }) {
  const { id, admin, quarantined, active, health } = instance;
  const of = { pool: pool.name, instance: id };
  const isAble = health === 'up' && admin === 'enabled';
  return (
    <span class="buttons">
      {admin !== 'enabled' && <ActButton verb="enable" {...of} />}
      {admin === 'enabled' && <ActButton verb="drain" {...of} />}
      {admin !== 'disabled' && <ActButton verb="disable" {...of} />}
      {quarantined && <ActButton verb="release" {...of} />}
      {pool.mode === 'failover' && !active && (
        <ActButton verb="activate" {...of} unless={isAble ? undefined : 'It must be up and enabled.'} />
      )}
    </span>
  );
}

function PoolFacts({ pool }: { readonly pool: PoolStatus }) {
  const { name, mode, balancer, active, failback, standing, leaseRemainingMs, affinity, replicas, parked } =
    pool;
  const abstaining = replicas.filter(({ abstains }) => abstains).map(({ replica }) => replica);
  const preferred = preferredOf(pool);
  const facts: readonly Fact[] = [
    ['Mode', balancer === null ? mode : `${mode}, ${balancer}`],
    [
      'Active instance',
      mode === 'sticky' ? undefined : active === null ? (
        <Badge level="critical">none</Badge>
      ) : (
        <>
          <code>{active.instance}</code> since <When iso={active.since} />
        </>
      ),
    ],
    [
      'Failback',
      failback !== null && (
        <>
          {failback.policy} {failback.zone ?? ''} <span class="muted">by {failback.by}</span>{' '}
          <span class="buttons">
            <ActButton
              verb="failback"
              pool={name}
              instance={preferred ?? ''}
              unless={
                preferred === undefined
                  ? 'No instance is up and enabled.'
                  : preferred === active?.instance
                    ? 'The preferred instance is active.'
                    : undefined
              }
            />
            <ActButton verb="failback-policy" pool={name} label="Set policy" />
          </span>
        </>
      ),
    ],
    // A gateway of an earlier release does not tell.
    [
      'Rebalance',
      mode === 'sticky' && pool.rebalance !== undefined && <Rebalance key="rebalance" pool={pool} />,
    ],
    ['View', <View key="view" pool={pool} />],
    [
      'Lease here',
      <>
        <Badge level={standingLevel(standing)}>{standing}</Badge>{' '}
        {leaseRemainingMs !== null && <span class="muted">{number(leaseRemainingMs)} ms left</span>}
      </>,
    ],
    [
      'Store',
      affinity.available ? (
        'answers'
      ) : (
        <span class="bad">
          {affinity.claimsFail === null ? 'away' : `claims fail: ${affinity.claimsFail.error}`}
        </span>
      ),
    ],
    [
      'Gateways',
      `${number(replicas.length)}${abstaining.length === 0 ? '' : `; ${list(abstaining)} abstains`}`,
    ],
    // Missing from an earlier release.
    ['Probes of the last days', pool.probes?.text],
    ['Waiting for an instance', count(parked, 'request')],
    ['Bindings in memory here', number(affinity.cachedBindings)],
    [
      'History',
      <>
        <a href={toHistory(name)}>Requests, latencies and changes of the view</a>
        <br />
        <a href={toEvents({ pool: name })}>Events of this pool</a>
      </>,
    ],
  ];
  return <Facts facts={facts} />;
}

/** Where a failback leads: the lowest priority that is up and enabled. */
function preferredOf({ instances }: PoolStatus): string | undefined {
  const able = instances.filter(({ health, admin }) => health === 'up' && admin === 'enabled');
  return able.toSorted((a, b) => a.priority - b.priority || (a.id < b.id ? -1 : 1))[0]?.id;
}
