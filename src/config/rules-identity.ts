import { foldName } from '../core/naming-rules.ts';
import type { Path } from './problem.ts';
import type { CheckContext, Rule } from './rule.ts';
import type { Config } from './schema.ts';

export const IDENTITY_RULES: readonly Rule<Config>[] = [
  {
    reads: [
      ['identity', 'logon'],
      ['pools', '*', 'sessionLost'],
    ],
    check: someLogon,
  },
  {
    reads: [
      ['identity', 'logon'],
      ['identity', 'logoff'],
    ],
    check: operationsAreWhole,
  },
  {
    reads: [
      ['identity', 'logon'],
      ['identity', 'logoff'],
      ['identity', 'elementMatch'],
    ],
    check: operationsTellValuesApart,
  },
  {
    reads: [
      ['identity', 'logon'],
      ['identity', 'logoff'],
      ['pools', '*', 'sessionLost'],
      ['pools', '*', 'rebalance'],
    ],
    check: rebalanceSeesLogOffs,
  },
];

function someLogon({ identity, pools }: Config, _at: Path, { warn }: CheckContext): void {
  for (const [index, { sessionLost }] of pools.entries()) {
    const { answer, logonOperations } = sessionLost;
    if (answer === 'fault' && identity.logon.length + logonOperations.length === 0)
      warn(
        ['pools', index, 'sessionLost', 'answer'],
        'is fault and identity.logon is empty, so even the first logon after a lost session is answered with a Fault; list the operations of a logon in identity.logon',
      );
  }
}

function rebalanceSeesLogOffs({ identity, pools }: Config, _at: Path, { warn }: CheckContext): void {
  for (const [index, { rebalance, sessionLost }] of pools.entries()) {
    const logons = identity.logon.length + sessionLost.logonOperations.length;
    if (rebalance === 'logon' && (logons === 0 || identity.logoff.length === 0))
      warn(
        ['pools', index, 'rebalance'],
        'has no effect: agents move only as they log off and on again; list these operations in identity.logoff and identity.logon',
      );
  }
}

function operationsAreWhole({ identity }: Config, _at: Path, { error, warn }: CheckContext): void {
  for (const list of ['logon', 'logoff'] as const)
    for (const [index, { element, value }] of identity[list].entries())
      if ((element === undefined) !== (value === undefined))
        error(['identity', list, index], 'has only one of element and value; give both or neither');
  if (identity.logoff.length > 0 && identity.logon.length === 0)
    warn(
      ['identity', 'logoff'],
      'is set but identity.logon is empty, so agents who log on again stay at an instance that drains; list the operations of a logon',
    );
}

/** An operation whose element decides in one entry should not count with every value in another. */
function operationsTellValuesApart({ identity }: Config, _at: Path, { warn }: CheckContext): void {
  const { logon, logoff, elementMatch } = identity;
  const comparable = elementMatch === 'loose' ? foldName : (name: string) => name;
  const withElement = [...logon, ...logoff].filter(({ element }) => element !== undefined);
  const decided = new Set(withElement.map(({ operation }) => comparable(operation)));
  for (const [list, rules] of Object.entries({ logon, logoff }))
    for (const [index, { operation, element }] of rules.entries())
      if (element === undefined && decided.has(comparable(operation)))
        warn(
          ['identity', list, index],
          `counts ${operation} with every value, although another entry names an element of it; give element and value here too, or remove this entry`,
        );
}
