import { expect, test } from 'vitest';
import { StaleView } from '../../../../src/core/ports.ts';
import { EmbeddedStoreServer } from '../../../../src/process/ipc/embedded-store-server.ts';
import { FencedStore } from '../../../support/fenced-store.ts';

const USER = { kind: 'user', value: 'U' } as const;
const AT_A = { instance: 'a', incarnation: '' };

test('a worker that acts on a view other than the controller’s changes nothing in the embedded store', async () => {
  let holds = 'of-worker';
  // This store accepts any fencing token.
  const store = new FencedStore(() => 'of-worker');
  const told: unknown[] = [];
  const server = new EmbeddedStoreServer(
    new Map([['ici', { store, fencingToken: () => holds, epoch: () => 1 }]]),
    (_, news) => void told.push(news),
  );
  const claim = () => server.storeClaim('ici', [USER], AT_A, 'of-worker');
  const { binding } = await claim();
  expect([store.asked, told.length]).toEqual([['claim'], 1]);

  holds = 'of-controller';
  await expect(claim()).rejects.toBeInstanceOf(StaleView);
  await expect(server.storeRebind('ici', binding, AT_A, 'of-worker')).rejects.toBeInstanceOf(StaleView);
  await expect(server.storeRelease('ici', binding, 'of-worker')).rejects.toBeInstanceOf(StaleView);
  await expect(server.storePeek('ici', [USER], { fencingToken: 'of-worker' })).rejects.toBeInstanceOf(
    StaleView,
  );
  // No view is in effect.
  holds = '';
  await expect(server.storeClaim('ici', [USER], AT_A, '')).rejects.toBeInstanceOf(StaleView);
  expect([store.asked, told.length]).toEqual([['claim'], 1]);
});

test('a released binding is news for the other workers, a release that changes nothing is none', async () => {
  const store = new FencedStore(() => 'token');
  const told: unknown[] = [];
  const server = new EmbeddedStoreServer(
    new Map([['ici', { store, fencingToken: () => 'token', epoch: () => 1 }]]),
    (_, news) => void told.push(news),
  );
  const { binding } = await server.storeClaim('ici', [USER], AT_A, 'token');
  const { binding: moved } = await server.storeRebind('ici', binding, { ...AT_A, instance: 'b' }, 'token');
  told.length = 0;

  expect(await server.storeRelease('ici', binding, 'token')).toEqual(moved);
  expect(told).toEqual([]);
  expect(await server.storeRelease('ici', moved, 'token')).toBeUndefined();
  expect(told).toEqual([{ bound: undefined, moved: [USER] }]);
});
