import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { effectiveConfig } from '../../../src/config/effective.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { LocalChannels } from '../../../src/process/local-channels.ts';
import { PROTOCOL } from '../../../src/process/messages.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { startController } from '../../../src/wiring/controller.ts';
import { openStores } from '../../../src/wiring/stores.ts';

test('a controller starts, and tells the state that the gateway has reached meanwhile', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'ici-gateway-controller-'));
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
  const { config } = loadConfig({
    text: `
pools: [{ name: ici, instances: [{ id: a, url: 'http://127.0.0.1:1' }] }]
admin: { address: '127.0.0.1:0' }
affinity: { stateDir: '${stateDir}', cacheEntries: 100 }
`,
    env: {},
  });
  const channels = new LocalChannels({
    onSettled: () => {},
    onRequest: async () => ({ ok: false, message: '' }),
  });
  const channel = channels.open('controller');
  // The supervisor tells changes of the state as they come, to a process that is still loading too.
  channels.broadcast({
    kind: 'lifecycle',
    lifecycle: { state: 'Running', inMaintenance: false, why: 'lifecycle.maxInitTime is over' },
  });

  const controller = await startController(
    {
      kind: 'init',
      protocol: PROTOCOL,
      config,
      shownConfig: effectiveConfig(config),
      replica: 'gw1',
      secret: 'secret',
      logLevel: 'silent',
      host: { pid: process.pid, startedAt: Date.now() },
      workers: [],
      sockets: {},
      surplusFds: [],
      role: 'controller',
      id: 'controller',
      lifecycle: { state: 'Starting', inMaintenance: false, why: '' },
      controllerReady: false,
    },
    channel,
    pino({ level: 'silent' }),
    { metrics: new Metrics(), openStores },
  );
  onTestFinished(() => controller.end({ kind: 'leave', graceMs: 0 }));

  expect(controller.status().state).toBe('Running');
});
