import type { Row } from './experiment.ts';

export interface Target {
  readonly text: string;
  readonly met: boolean;
}

const AGREED_MS = 5_000;
const KILLED_RECOVERY_MS = 1_000;
const PROMOTED_RECOVERY_MS = 3_000;

/** The targets of a row with default settings. */
export function targetsOf(row: Row): Target[] {
  const always = [
    none('splits', row.splits),
    none('requests sent twice', row.duplicates),
    none('agents moved in vain', row.movedInVain),
    none('agents never served again', row.lost),
    atMost('one view after', row.agreedMs, AGREED_MS),
    {
      text: `the archive names the fault (${row.fault}; no ${row.unnamed.join(', ')})`,
      met: row.unnamed.length === 0,
    },
    {
      text: `all came as foretold (${row.unforeseen?.join('; ')})`,
      met: (row.unforeseen ?? []).length === 0,
    },
  ];
  // A stopped process handles the data in its buffers when it continues; no setting can prevent that.
  const late = none('requests that arrived late', row.late);
  return [...always, ...(row.scenario.cuts === true ? [late] : []), ...ownTargets(row)];
}

function ownTargets(row: Row): Target[] {
  const avoidable = none('failed, though not under way when the fault came', row.failed - row.underWay);
  const allMoved = {
    text: `all ${row.bereft} agents of the instance moved (${row.moved})`,
    met: row.moved === row.bereft,
  };
  const placed = {
    text: `all ${row.newcomers} new agents placed (${row.newcomersPlaced})`,
    met: row.newcomersPlaced === row.newcomers,
  };
  switch (row.scenario.name) {
    case 'instance-killed':
      return [avoidable, allMoved, atMost('recovery', row.recoveryMs ?? 0, KILLED_RECOVERY_MS)];
    case 'master-killed':
    case 'master-stopped': {
      const recovery = row.recoveredAfterPromotionMs ?? Infinity;
      return [
        none('requests of known agents failed', row.failed),
        placed,
        atMost('recovery after promotion', recovery, PROMOTED_RECOVERY_MS),
      ];
    }
    case 'gateway-cut-from-redis':
      return [none('requests of known agents failed', row.failed), placed];
    case 'gateway-cut-from-gateways':
      return [none('requests failed', row.failed)];
    case 'gateway-killed':
      return [avoidable];
    default:
      return [];
  }
}

function none(what: string, count: number): Target {
  return { text: `0 ${what} (${count})`, met: count === 0 };
}

function atMost(what: string, ms: number, limitMs: number): Target {
  return { text: `${what} ≤ ${limitMs} ms (${Math.round(ms)})`, met: ms <= limitMs };
}
