import type { Alarm } from '../data/contract.ts';
import { toPool } from '../logic/place.ts';
import { Badge } from './badge.tsx';
import { When } from './when.tsx';

/** What is wrong, since when, and what to do. */
export function AlarmList({ alarms }: { readonly alarms: readonly Alarm[] }) {
  return (
    <ul class="alarms">
      {alarms.map((alarm) => (
        <li key={alarm.id} class={`alarm level-${alarm.severity}`} data-testid="alarm" data-alarm={alarm.id}>
          <Badge level={alarm.severity}>{alarm.severity}</Badge>
          <div>
            <strong>{alarm.text}</strong>{' '}
            {alarm.since !== null && (
              <span class="muted">
                since <When iso={alarm.since} />
              </span>
            )}
            <p>
              {alarm.remedy}{' '}
              <a href={runbook(alarm)} target="_blank" rel="noopener">
                Runbook
              </a>
              {alarm.pool !== null && (
                <>
                  {' · '}
                  <a href={toPool(alarm.pool)}>pool {alarm.pool}</a>
                </>
              )}
            </p>
          </div>
        </li>
      ))}
    </ul>
  );
}

function runbook({ runbook: anchor }: Alarm): string {
  return `/runbook#${anchor.replace(/^#/, '')}`;
}
