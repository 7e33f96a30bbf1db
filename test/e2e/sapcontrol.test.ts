import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';

let folder: string;
let socketPath: string;
let connector: SimulatedConnector;
let gateway: GatewayProcess;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ici-sapcontrol-'));
  socketPath = join(folder, '.sapstream50013');
  connector = await startConnector({ name: 'a' });
  gateway = await startGatewayProcess({
    pools: [{ name: 'ici', health: { path: '/health' }, instances: [{ id: 'a', url: connector.url }] }],
    sapcontrol: { address: '127.0.0.1:0', socket: socketPath },
  });
});

afterEach(async () => {
  await gateway.close();
  await connector.close();
  rmSync(folder, { recursive: true, force: true });
});

function call(method: string): Promise<string> {
  const message = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><m:${method} xmlns:m="urn:SAPControl"/></e:Body></e:Envelope>`;
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path: '/', method: 'POST', timeout: 10_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
      response.on('end', () => resolve(text));
    });
    sent.on('error', reject);
    sent.end(message);
  });
}

test('a cluster that sees GREEN over the Unix socket stops the gateway there, and it ends by itself', async () => {
  await eventually(async () => expect(await call('GetProcessList')).toContain('SAPControl-GREEN'));
  expect(await call('GetProcessList')).toContain(`<pid>${gateway.pid}</pid>`);
  expect(await call('Shutdown')).toContain('ShutdownResponse');
  await eventually(() => expect(() => process.kill(gateway.pid, 0)).toThrow('ESRCH'), { within: 20_000 });
  expect(gateway.log.filter(({ msg }) => msg === 'stopped')).toHaveLength(1);
  expect(existsSync(socketPath)).toBe(false);
});
