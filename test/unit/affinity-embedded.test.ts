import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbedded } from '../../src/affinity/embedded-store.ts';
import { affinityStoreContract } from '../contract/affinity-store.ts';

affinityStoreContract('the embedded store', async (idleLifetimeMs) => {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-lmdb-'));
  const embedded = openEmbedded({ directory });
  return {
    store: embedded.store('crm', { idleLifetimeMs }),
    close: async () => {
      await embedded.close();
      rmSync(directory, { recursive: true });
    },
  };
});
