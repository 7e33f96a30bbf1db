import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { expect, test } from 'vitest';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { makeSmallDisk } from '../support/small-disk.ts';
import { startTestGateway } from '../support/test-gateway.ts';

/** The embedded store of a single-process gateway on a real, full file system. */

test('a full disk counts as a store that is away, until there is free space', async (context: TestContext) => {
  const disk = await makeSmallDisk(1_024 * 1_024);
  if (typeof disk === 'string') return context.skip(disk);
  const closers: (() => unknown)[] = [disk.close];
  try {
    const token = writeTokenFile();
    closers.unshift(token.remove);
    const connectors = await Promise.all(['a', 'b'].map((name) => startConnector({ name })));
    closers.unshift(() => Promise.all(connectors.map((connector) => connector.close())));
    // So little space that it is used up soon.
    disk.fill(412 * 1_024);
    const gateway = await startTestGateway(
      `pools:
  - name: ici
    mode: sticky
    health: { path: /health, interval: 300ms, fastInterval: 100ms }
    instances: [${connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ')}]
coordination: { lease: 1s }
affinity: { stateDir: '${join(disk.path, 'state')}' }`,
      { env: token.env },
    );
    closers.unshift(() => gateway.close());
    disk.fill();
    const placed = new Map<string, string | undefined>();
    const isAway = (): boolean => gateway.status().pools[0]?.affinity.available === false;
    for (let i = 0; !isAway() || placed.size < 40; i += 1) {
      const { user, status, connector } = await post(gateway.url, `AGENT${i}`);
      expect({ user, status }).toEqual({ user, status: 200 });
      placed.set(user, connector);
    }
    const away = gateway.log.filter(({ msg }) => msg === 'affinity store away');
    expect(away).toEqual([
      expect.objectContaining({ detail: expect.stringMatching(/cannot be written \(ENOSPC.*make room/) }),
    ]);
    const act = { by: 'a test', why: 'the disk is full' };
    expect(await ask(gateway.adminUrl, 'POST', '/pools/ici/instances/a/disable', act)).toMatchObject({
      status: 503,
      body: { error: expect.stringMatching(/ENOSPC.*make room/) },
    });

    disk.makeRoom();
    await eventually(() => expect(isAway()).toBe(false));
    // The refused change has not been made later either.
    for (const [user, connector] of placed) {
      expect(await post(gateway.url, user)).toMatchObject({ user, status: 200, connector });
    }
    expect(gateway.status().pools[0]?.instances.map(({ admin }) => admin)).toEqual(['enabled', 'enabled']);
  } finally {
    for (const close of closers) await close();
  }
});
