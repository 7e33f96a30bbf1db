import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import { startTestGateway } from '../support/test-gateway.ts';

test('a busy connection to an instance that is older than timeouts.connectionAge takes no more requests', async () => {
  const used: Socket[] = [];
  const instance = createServer((request, response) => {
    if (request.method === 'POST' && used.at(-1) !== request.socket) used.push(request.socket);
    request.resume();
    response.end('ok');
  });
  await new Promise<void>((resolve) => instance.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    instance.closeAllConnections();
    instance.close();
  });
  const gateway = await startTestGateway(`
pools:
  - name: ici
    mode: sticky
    health: { path: /health }
    instances: [{ id: a, url: 'http://127.0.0.1:${(instance.address() as AddressInfo).port}' }]
timeouts: { connectionAge: 1s }
`);
  onTestFinished(() => gateway.close());

  const begunAt = performance.now();
  await eventually(async () => {
    expect((await post(gateway.url, 'MILLER')).status).toBe(200);
    expect(used.length).toBeGreaterThan(1);
  });
  // Not too early, and each connection only once: the old one is closed.
  expect(performance.now() - begunAt).toBeGreaterThan(900);
  expect(new Set(used).size).toBe(used.length);
  await eventually(() => expect(used[0]?.destroyed).toBe(true));
});
