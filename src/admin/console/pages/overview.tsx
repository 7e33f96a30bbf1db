import { clock } from '../data/clock.ts';
import type { GatewayStatus } from '../data/contract.ts';
import { live, STALE_AFTER_MS } from '../data/live.ts';
import { useSelected, useStore } from '../data/store.ts';
import { toPool } from '../logic/place.ts';
import type { Level, Verdict } from '../logic/served.ts';
import { stateLevel, summaryOf, verdictOf } from '../logic/served.ts';
import { durationText } from '../logic/time.ts';
import { AlarmList } from '../parts/alarm-list.tsx';
import { Badge } from '../parts/badge.tsx';
import { CurvesPanel } from '../parts/curves-panel.tsx';
import { GatewaysPanel } from '../parts/gateways-panel.tsx';
import { IncidentButton } from '../parts/incident-button.tsx';
import { InstanceCard } from '../parts/instance-card.tsx';
import { Page } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { PoolTable } from '../parts/pool-table.tsx';
import { When } from '../parts/when.tsx';

/** The first screen: are agents served, what is wrong, since when, what to do. */
export function Overview() {
  const { status, at, problem } = useStore(live);
  const source = { data: status, at, problem };
  return (
    <Page
      name="overview"
      title="Overview"
      heading={<VerdictText />}
      side={status && <Self status={status} />}
    >
      <Panel
        name="alarms"
        title="Alarms"
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={({ alarms }) => (alarms.length === 0 ? 'No alarm.' : undefined)}
        side={<IncidentButton />}
      >
        {({ alarms }) => <AlarmList alarms={alarms} />}
      </Panel>
      <Panel name="pools" title="Pools" source={source} staleAfter={STALE_AFTER_MS}>
        {({ pools }) => <PoolTable pools={pools} />}
      </Panel>
      <Panel name="instances" title="Instances" source={source} staleAfter={STALE_AFTER_MS}>
        {({ pools }) =>
          pools.map((pool) => (
            <div key={pool.name} class="cards-of-pool">
              <h3>
                <a href={toPool(pool.name)}>{pool.name}</a>
              </h3>
              <div class="cards">
                {pool.instances.map((instance) => (
                  <InstanceCard key={instance.id} pool={pool} instance={instance} />
                ))}
              </div>
            </div>
          ))
        }
      </Panel>
      <GatewaysPanel />
      <CurvesPanel />
    </Page>
  );
}

/** How old the status is; `undefined` if it is current. */
function useAge(): string | undefined {
  const { at, problem } = useStore(live);
  // With a problem the data is old at once; without one only when the stream is silent.
  return useSelected(clock, (now) =>
    problem !== undefined || now - at > STALE_AFTER_MS ? durationText(now - at) : undefined,
  );
}

function VerdictText() {
  const { status, problem } = useStore(live);
  const age = useAge();
  const { level, text } = verdictNow(status, age, problem !== undefined);
  return (
    <span class={`verdict level-${level}`} data-testid="verdict" data-level={level}>
      <span aria-hidden="true">{SIGNS[level]}</span> {text}
    </span>
  );
}

const SIGNS: Readonly<Record<Level, string>> = { ok: '●', warning: '▲', critical: '■', unknown: '○' };

function verdictNow(status: GatewayStatus | undefined, age: string | undefined, isRefused: boolean): Verdict {
  if (status === undefined)
    return {
      level: 'unknown',
      text: isRefused ? 'Not known: this gateway does not answer.' : 'Asking this gateway …',
    };
  const verdict = verdictOf(status);
  if (age === undefined) return verdict;
  return { level: 'unknown', text: `Not known: the last status is ${age} old. It said: ${verdict.text}` };
}

function Self({ status }: { readonly status: GatewayStatus }) {
  return (
    <p class={useAge() === undefined ? 'summary' : 'summary old'}>
      {summaryOf(status)} · <Badge level={stateLevel(status.state)}>{status.state}</Badge>{' '}
      <code>{status.replica}</code> {status.version}, up since <When iso={status.startedAt} />
    </p>
  );
}
