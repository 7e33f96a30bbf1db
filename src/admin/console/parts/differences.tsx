import type { PoolStatus } from '../data/contract.ts';
import { list } from '../logic/text.ts';
import { ActButton } from './act-button.tsx';
import { Badge } from './badge.tsx';
import { Table } from './table.tsx';

/** Where gateways differ from the agreed configuration of a pool. */
export function Differences({ pool }: { readonly pool: PoolStatus }) {
  const { differences, servesHere, missingHere } = pool.configuration;
  return (
    <>
      {!servesHere && (
        <p class="bad">This gateway does not serve the pool: it would send agents to other instances.</p>
      )}
      {missingHere.length > 0 && (
        <p class="bad">{`${list(missingHere)} is agreed, and missing in the configuration of this gateway.`}</p>
      )}
      {differences.length === 0 ? (
        <p class="empty">All gateways that report their configuration agree.</p>
      ) : (
        <Table label="Differences">
          <thead>
            <tr>
              <th scope="col">Gateway</th>
              <th scope="col">Part</th>
              <th scope="col">Agreed</th>
              <th scope="col">Configured there</th>
              <th scope="col">Effect</th>
            </tr>
          </thead>
          <tbody>
            {differences.map((one) => (
              <tr key={`${one.replica} ${one.part}`}>
                <th scope="row">
                  <code>{one.replica}</code>
                </th>
                <td>{one.part}</td>
                <td>
                  <code>{JSON.stringify(one.agreed)}</code>
                </td>
                <td>
                  <code>{JSON.stringify(one.configured)}</code>
                </td>
                <td>
                  <Badge level={one.effect === 'refused' ? 'critical' : 'warning'}>{one.effect}</Badge>
                </td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
      <p class="buttons">
        <ActButton
          verb="adopt-config"
          pool={pool.name}
          unless={differences.length === 0 ? 'No gateway differs.' : undefined}
        />
      </p>
    </>
  );
}
