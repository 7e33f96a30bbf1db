import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'soap';
import { BasicAuthSecurity, createClientAsync } from 'soap';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatPasswordLine } from '../../src/core/password-record.ts';
import { hashPassword } from '../../src/passwords/password.ts';
import { METHODS } from '../../src/sapcontrol/message-types.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

let folder: string;
let connector: SimulatedConnector;
let gateway: TestGateway;
let client: Client;

// A client that an independent library generates from our WSDL only.
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ici-sapcontrol-'));
  const passwordFile = join(folder, 'passwords');
  const cost = { logN: 14, blockSize: 1, parallelization: 1 };
  writeFileSync(passwordFile, formatPasswordLine(await hashPassword('müller', 'pa:ß', { cost })));
  connector = await startConnector({ name: 'a' });
  gateway = await startTestGateway(`
pools: [{ name: ici, health: { path: /health }, instances: [{ id: a, url: '${connector.url}' }] }]
sapcontrol: { address: '127.0.0.1:0', socket: '${join(folder, 's')}', passwordFile: '${passwordFile}' }
`);
  client = await createClientAsync(`${gateway.sapControlUrl}/?wsdl`);
});

afterEach(async () => {
  await gateway.close();
  await connector.close();
  rmSync(folder, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noExplicitAny: the library's form of an answer
async function call(method: string, values: Record<string, unknown> = {}): Promise<any> {
  const [answer] = await client[`${method}Async`](values);
  return answer;
}

test('a client generated from the WSDL has every method, and can call the open ones', async () => {
  const [port] = Object.values(client.describe()['SAPControl']);
  expect(Object.keys(port as object)).toEqual(Object.keys(METHODS));

  const { process: processes } = await call('GetProcessList');
  expect(processes.item).toEqual([
    {
      name: 'sapwebdisp',
      description: 'Web Dispatcher',
      dispstatus: 'SAPControl-GREEN',
      textstatus: 'Running',
      starttime: expect.stringMatching(/^\d{4} \d\d \d\d \d\d:\d\d:\d\d$/),
      elapsedtime: expect.stringMatching(/^\d+:\d\d:\d\d$/),
      pid: process.pid,
    },
  ]);
  const { properties } = await call('GetInstanceProperties');
  expect(properties.item).toContainEqual({ property: 'INSTANCE_NAME', propertytype: 'string', value: 'W00' });
  const { version } = await call('GetVersionInfo');
  expect(version.item).toHaveLength(1);
  const { instance } = await call('GetSystemInstanceList', { timeout: 10 });
  expect(instance.item[0]).toMatchObject({
    instanceNr: 0,
    httpPort: Number(new URL(gateway.sapControlUrl ?? '').port),
    features: 'WEBDISP',
  });
  expect(await call('ParameterValue', { parameter: 'icm/max_init_time' })).toEqual({ value: '120' });
  const { server } = await call('WebDispGetServerList');
  expect(server.item).toEqual([
    expect.objectContaining({
      sid: 'ici',
      instance: 'a',
      status: 'ACTIVE',
      port: Number(new URL(connector.url).port),
      'cur-conn': 0,
    }),
  ]);
});

test('a change is refused without a password, and succeeds with one: the gateway stops', async () => {
  const asked: [string, Record<string, unknown>][] = [
    ['AccessCheck', { function: 'Stop' }],
    ['Start', {}],
    ['SendSignal', { pid: process.pid, signal: 'SIGCONT' }],
  ];
  const impossible: [string, Record<string, unknown>][] = [
    ['RestartInstance', { softtimeout: 10 }],
    ['SendSignal', { pid: 1, signal: 'SIGCONT' }],
  ];
  for (const [method, values] of [...asked, ...impossible, ['Stop', {}], ['Shutdown', {}]] as typeof asked)
    await expect(call(method, values), method).rejects.toThrow('by Basic authentication');
  expect(gateway.status().state).toBe('Running');

  client.setSecurity(new BasicAuthSecurity('müller', 'pa:ß'));
  for (const [method, values] of asked) expect(await call(method, values), method).toBeNull();
  for (const [method, values] of impossible)
    await expect(call(method, values), method).rejects.toThrow(/this gateway/);

  expect(await call('Shutdown', { IsSystemStop: 0 })).toBeNull();
  await gateway.ended;
  await eventually(() => expect(gateway.status().state).toBe('Stopped'));
});

test('a stop lasts as long as its soft timeout', async () => {
  client.setSecurity(new BasicAuthSecurity('müller', 'pa:ß'));
  expect(await call('Stop', { softtimeout: 300, IsSystemStop: 0 })).toBeNull();
  await gateway.ended;
});
