import type { PoolStatus } from '../data/contract.ts';
import { toAgents, toPool } from '../logic/place.ts';
import type { Level } from '../logic/served.ts';
import { isServed } from '../logic/served.ts';
import { number } from '../logic/text.ts';
import { Badge } from './badge.tsx';
import { Table } from './table.tsx';
import { When } from './when.tsx';

const sum = (pool: PoolStatus, of: 'boundAgents' | 'inFlight' | 'queued'): number =>
  pool.instances.reduce((total, instance) => total + instance[of], 0);

export function PoolTable({ pools }: { readonly pools: readonly PoolStatus[] }) {
  return (
    <Table label="Pools">
      <thead>
        <tr>
          <th scope="col">Pool</th>
          <th scope="col">Served</th>
          <th scope="col">Mode</th>
          <th scope="col" class="number">
            Agents
          </th>
          <th scope="col" class="number">
            In flight
          </th>
          <th scope="col" class="number">
            Waiting
          </th>
          <th scope="col" class="wide">
            Active instance
          </th>
          <th scope="col" class="wide">
            View
          </th>
          <th scope="col" class="wide">
            Lease
          </th>
        </tr>
      </thead>
      <tbody>
        {pools.map((pool) => (
          <tr key={pool.name} data-testid="pool-row" data-pool={pool.name}>
            <th scope="row">
              <a href={toPool(pool.name)}>{pool.name}</a>
            </th>
            <td>
              <Badge level={isServed(pool) ? 'ok' : 'critical'}>
                {isServed(pool) ? 'served' : 'not served'}
              </Badge>
            </td>
            <td>{pool.mode}</td>
            <td class="number">
              <a href={toAgents({ pool: pool.name })}>{number(sum(pool, 'boundAgents'))}</a>
            </td>
            <td class="number">{number(sum(pool, 'inFlight'))}</td>
            <td class="number">{number(pool.parked + sum(pool, 'queued'))}</td>
            <td class="wide">
              <Active pool={pool} />
            </td>
            <td class="wide">
              <View pool={pool} />
            </td>
            <td class="wide">
              <Badge level={standingLevel(pool.standing)}>{pool.standing}</Badge>
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function Active({ pool: { mode, active } }: { readonly pool: PoolStatus }) {
  if (mode === 'sticky') return <span class="muted">all</span>;
  if (active === null) return <Badge level="critical">none</Badge>;
  return (
    <>
      <code>{active.instance}</code> <span class="muted">since</span> <When iso={active.since} />
    </>
  );
}

/** The epoch of the view, and whether all gateways act on it. */
export function View({ pool: { epoch, view } }: { readonly pool: PoolStatus }) {
  return (
    <>
      epoch {number(epoch)}{' '}
      {view.effective ? (
        <span class="muted">in effect</span>
      ) : (
        <>
          <Badge level="warning">waits</Badge>{' '}
          {view.pendingSince !== null && <When iso={view.pendingSince} />}
        </>
      )}
    </>
  );
}

export function standingLevel(standing: string | null): Level {
  if (standing === 'leased') return 'ok';
  if (standing === 'storeless') return 'warning';
  return standing === null ? 'unknown' : 'critical';
}
