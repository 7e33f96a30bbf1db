import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { shownOptions } from '../../../src/config/shown-options.ts';

const TEXT = `pools:
  - name: ici
    mode: sticky
    instances:
      - { id: a, url: 'http://10.0.0.11:8080' }
    health: { path: /health }
timeouts:
  park: 3s
affinity:
  redis:
    url: redis://user:secret@10.0.0.20:6379
`;

function shown(path: string) {
  const { config } = loadConfig({
    file: '/etc/gateway.yaml',
    text: TEXT,
    env: { ICI_GATEWAY_LIMITS__CONNECTIONS: '77' },
    overlay: () => ({
      settings: [{ path: ['admin', 'address'], value: '127.0.0.1:9', source: '--admin' }],
    }),
  });
  return shownOptions(config).find((option) => option.path === path);
}

test.each([
  ['timeouts.park', '3s', '5s', '/etc/gateway.yaml:8'],
  ['pools[0].mode', 'sticky', 'failover', '/etc/gateway.yaml:3'],
  ['pools[0].instances[0].id', 'a', null, '/etc/gateway.yaml:5'],
  ['pools[0].instances[0].priority', '1', 'position in the list, from 1', 'default'],
  ['limits.connections', '77', expect.any(String), 'ICI_GATEWAY_LIMITS__CONNECTIONS'],
  ['admin.address', '127.0.0.1:9', '127.0.0.1:9090', '--admin'],
  ['affinity.redis.url', 'redis://user:***@10.0.0.20:6379', null, '/etc/gateway.yaml:11'],
  ['affinity.store', 'redis', 'redis where affinity.redis is given, else embedded', 'default'],
])('%s is shown with its value, its default and its source', (path, value, fallback, source) => {
  expect(shown(path)).toEqual({ path, value, default: fallback, source });
});

test('an option that is not given and has no default is not shown', () => {
  expect(shown('maintenance.pageFile')).toBeUndefined();
});
