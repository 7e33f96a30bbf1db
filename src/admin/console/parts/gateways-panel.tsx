import type { GatewayLine, GatewaysAnswer } from '../data/contract.ts';
import { usePoll } from '../data/poll.ts';
import { GATEWAY } from '../logic/place.ts';
import { stateLevel } from '../logic/served.ts';
import { list, number } from '../logic/text.ts';
import { durationText } from '../logic/time.ts';
import { Badge } from './badge.tsx';
import { Panel } from './panel.tsx';
import { standingLevel } from './pool-table.tsx';
import { Table } from './table.tsx';
import { When } from './when.tsx';

const POLL_MS = 5_000;
const STALE_AFTER_MS = 15_000;

/** All gateways of the store, as they registered themselves. */
export function GatewaysPanel() {
  const source = usePoll<GatewaysAnswer>('/gateways', POLL_MS);
  return (
    <Panel
      name="gateways"
      title="Gateways"
      source={source}
      staleAfter={STALE_AFTER_MS}
      empty={({ gateways }) => (gateways.length === 0 ? 'No gateway is registered.' : undefined)}
      partial={({ gateways, reason }) => {
        if (reason !== null) return `Only what this gateway knows is listed: ${reason}.`;
        const older = gateways.filter(({ state }) => state === null).map(({ replica }) => replica);
        return older.length === 0
          ? undefined
          : `Little is known of ${list(older)}: an earlier release runs there.`;
      }}
    >
      {({ gateways }) => <GatewayTable gateways={gateways} />}
    </Panel>
  );
}

function GatewayTable({ gateways }: { readonly gateways: readonly GatewayLine[] }) {
  return (
    <Table label="Gateways">
      <thead>
        <tr>
          <th scope="col">Gateway</th>
          <th scope="col">State</th>
          <th scope="col">Findings</th>
          <th scope="col" class="wide">
            Version
          </th>
          <th scope="col" class="wide number">
            Workers
          </th>
          <th scope="col" class="wide">
            Up since
          </th>
          <th scope="col" class="wide">
            Lease
          </th>
          <th scope="col" class="wide">
            Takes relayed requests at
          </th>
          <th scope="col">Console</th>
        </tr>
      </thead>
      <tbody>
        {gateways.map((one) => (
          <tr key={one.replica} data-testid="gateway-row" data-replica={one.replica}>
            <th scope="row">
              <code>{one.replica}</code>
            </th>
            <td>
              <State gateway={one} />
            </td>
            <td>{findings(one)}</td>
            <td class="wide">{one.version ?? '–'}</td>
            <td class="wide number">{one.workers === null ? '–' : number(one.workers)}</td>
            <td class="wide">{one.startedAt === null ? '–' : <When iso={one.startedAt} />}</td>
            <td class="wide">
              <Standing gateway={one} />
            </td>
            <td class="wide">{one.relayAt == null ? '–' : <code>{one.relayAt}</code>}</td>
            <td>
              <ConsoleLink gateway={one} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

/** What a silent gateway told last is no longer its state. */
function State({ gateway: { state, silent, seenSecondsAgo } }: { readonly gateway: GatewayLine }) {
  if (!silent) return <Badge level={stateLevel(state)}>{state ?? 'not known'}</Badge>;
  return (
    <>
      <Badge level="critical">silent</Badge>{' '}
      <span class="muted">
        seen {durationText((seenSecondsAgo ?? 0) * 1_000)} ago, was {state}
      </span>
    </>
  );
}

function ConsoleLink({ gateway: { self, admin } }: { readonly gateway: GatewayLine }) {
  if (self) return <a href={GATEWAY}>this one</a>;
  if (admin === null || !/^https?:\/\//.test(admin)) return <span class="muted">not advertised</span>;
  return (
    <a href={admin} rel="noopener">
      {new URL(admin).host}
    </a>
  );
}

function Standing({ gateway: { pools, silent } }: { readonly gateway: GatewayLine }) {
  if (silent) return <span class="muted">not known</span>;
  const worst = pools.find(({ standing }) => standing !== 'leased') ?? pools[0];
  if (worst === undefined) return <>–</>;
  return <Badge level={standingLevel(worst.standing)}>{worst.standing ?? 'not known'}</Badge>;
}

/** What differs from the usual, in a few words. */
function findings({ pools, silent }: GatewayLine) {
  if (silent) return <span class="muted">not known</span>;
  const texts = pools.flatMap(({ pool, abstains, down, cutOff, differences }) => [
    ...(abstains === true ? [`abstains in ${pool}`] : []),
    ...down.map((id) => `finds ${pool}/${id} down`),
    ...(cutOff ?? []).map((id) => `cut off from ${pool}/${id}`),
    ...(differences.length > 0 ? [`configuration of ${pool} differs`] : []),
  ]);
  return texts.length === 0 ? <span class="muted">none</span> : texts.join('; ');
}
