import type { GatewayStatus } from '../data/contract.ts';
import { live, STALE_AFTER_MS } from '../data/live.ts';
import { useStore } from '../data/store.ts';
import { stateLevel, verdictOf } from '../logic/served.ts';
import { count, number } from '../logic/text.ts';
import { ActButton } from '../parts/act-button.tsx';
import { Badge } from '../parts/badge.tsx';
import { Id } from '../parts/copy.tsx';
import { Facts } from '../parts/facts.tsx';
import { GatewaysPanel } from '../parts/gateways-panel.tsx';
import { Page, WhyNoActs } from '../parts/page.tsx';
import { Panel } from '../parts/panel.tsx';
import { ReloadPanel } from '../parts/reload-preview.tsx';
import { When } from '../parts/when.tsx';

/** This gateway alone; the others are operated in their own consoles. */
export function GatewayPage() {
  const { status, at, problem } = useStore(live);
  const state = status?.state;
  const isStopping = state === 'Stopping' || state === 'Draining' || state === 'Stopped';
  const unless = isStopping ? 'The gateway is stopping.' : undefined;
  return (
    <Page name="gateway" title="This gateway">
      <WhyNoActs />
      <p class="buttons">
        {state === 'Maintenance' ? (
          <ActButton verb="maintenance-off" isMain />
        ) : (
          <ActButton verb="maintenance-on" unless={unless} />
        )}
        <ActButton verb="reload" unless={unless} />
        <ActButton verb="restart" unless={unless} />
        <ActButton verb="stop" unless={unless} />
      </p>
      <Panel name="gateway" title="State" source={{ data: status, at, problem }} staleAfter={STALE_AFTER_MS}>
        {(held) => <GatewayFacts status={held} />}
      </Panel>
      <ReloadPanel />
      <GatewaysPanel />
    </Page>
  );
}

function GatewayFacts({ status }: { readonly status: GatewayStatus }) {
  const { state, replica, host, version, workers, startedAt, inFlight, admin } = status;
  return (
    <Facts
      facts={[
        [
          'State',
          <Badge key="state" level={stateLevel(state)}>
            {state}
          </Badge>,
        ],
        ['Agents', verdictOf(status).text],
        ['Name among its peers', <Id key="replica" text={replica} what="replica" />],
        ['Host', host],
        ['Version', version],
        ['Workers', number(workers)],
        ['Up since', <When key="since" iso={startedAt} />],
        ['In flight', count(inFlight, 'request')],
        ['Address for other consoles', admin.advertise ?? 'none: set admin.advertise to let them link here'],
      ]}
    />
  );
}
