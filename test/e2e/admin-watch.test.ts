import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { PROGRAM } from '../support/gateway-process.ts';
import { post } from '../support/load.ts';
import { writeTokenFile } from '../support/operator.ts';
import { startTestGateway } from '../support/test-gateway.ts';

test('Ctrl-C ends the watching of a drain and not the drain, and says so', async () => {
  const token = writeTokenFile();
  const connector = await startConnector({ name: 'a' });
  const gateway = await startTestGateway(
    `pools: [{ name: ici, mode: sticky, health: { path: /health }, instances: [{ id: a, url: '${connector.url}' }] }]`,
    { env: token.env },
  );
  try {
    await post(gateway.url, 'MILLER');
    const [command = '', ...program] = PROGRAM;
    const watch = spawn(command, [...program, 'admin', 'drain', 'ici', 'a', '--why', 'patch', '--watch'], {
      env: { ...process.env, ...token.env, ICI_GATEWAY_ADMIN__URL: gateway.adminUrl },
    });
    const written = { out: '', err: '' };
    watch.stdout.on('data', (chunk) => (written.out += chunk));
    watch.stderr.on('data', (chunk) => (written.err += chunk));
    await eventually(() => expect(written.out).toContain('"admin":"draining"'));
    watch.kill('SIGINT');
    const [code] = await once(watch, 'close');
    expect([code, written.err]).toEqual([
      130,
      'no longer watching; the drain of a goes on. To watch it again: ici-gateway admin draining ici a --watch\n',
    ]);
    expect(gateway.status().pools[0]?.instances[0]?.admin).toBe('draining');
  } finally {
    await gateway.close();
    await connector.close();
    token.remove();
  }
});
