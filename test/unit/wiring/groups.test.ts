import pino from 'pino';
import { expect, test } from 'vitest';
import { composeGroups } from '../../../src/wiring/groups.ts';
import { load } from '../config/support.ts';

test('patterns of groups compare as user names are compared', () => {
  const { config } = load(`
pools:
  - name: ici
    mode: sticky
    groups: { patterns: [{ users: 'agent00[a-c]', group: sales }] }
    instances: [{ id: a, url: 'http://127.0.0.1:1' }]
`);
  const groups = composeGroups(config.pools[0] as (typeof config.pools)[0], pino({ level: 'silent' }));
  expect(groups?.ofUser('AGENT00B')).toMatchObject({ name: 'sales' });
  expect(groups?.ofUser('AGENT00D')).toBeUndefined();
});
