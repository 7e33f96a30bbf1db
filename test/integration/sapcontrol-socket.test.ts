import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { poolOf, WireUpstream } from '../support/wire.ts';
import { PROCESS_LIST, ServedSapControl } from './sapcontrol-support.ts';

let served: ServedSapControl;
let send: ServedSapControl['send'];

beforeEach(async () => {
  served = await ServedSapControl.start();
  send = served.send.bind(served);
});

afterEach(() => served.close());

const problems = (): string[] => served.log.filter(({ level }) => level === 50).map(({ msg }) => msg);

describe('the Unix socket', () => {
  test('can be opened by its owner only, and is removed with the service', async () => {
    expect(statSync(served.socketPath).mode & 0o777).toBe(0o600);
    await served.service.close();
    expect(() => statSync(served.socketPath)).toThrow('ENOENT');
  });

  test('that a dead process left is replaced; one with a live process is not', async () => {
    const second = served.compose();
    await second.listen();
    expect(problems()).toEqual([expect.stringContaining('another process listens on')]);
    expect((await send(PROCESS_LIST, { socket: true })).status).toBe(200);
    await second.close();
    expect((await send(PROCESS_LIST, { socket: true })).status).toBe(200);
    await served.service.close();

    const left = createServer();
    await new Promise<void>((resolve) => {
      left.listen(join(served.folder, 'left'), resolve);
    });
    renameSync(join(served.folder, 'left'), served.socketPath);
    await new Promise((resolve) => left.close(resolve));
    await served.startAnother();
    expect((await send(PROCESS_LIST, { socket: true })).status).toBe(200);
  });

  test('whose place another file takes is logged with owner and remedy, once, and tried until it is free', async () => {
    await served.service.close();
    writeFileSync(served.socketPath, 'precious');
    await served.startAnother();
    // The port serves meanwhile.
    expect((await send(PROCESS_LIST)).status).toBe(200);
    const uid = statSync(served.socketPath).uid;
    const reason = `${served.socketPath} exists and is not a socket (it belongs to uid ${uid}); remove it, or give another path`;
    expect(problems()).toEqual([
      `sapcontrol cannot listen: sapcontrol.socket: ${reason}. The gateway serves agents without it, and tries again`,
    ]);
    expect(statSync(served.socketPath).size).toBe(8);

    rmSync(served.socketPath);
    await eventually(async () => expect((await send(PROCESS_LIST, { socket: true })).status).toBe(200));
    await eventually(() => expect(served.log.map(({ msg }) => msg)).toContain('sapcontrol listens again'));
    expect(problems()).toHaveLength(1);
  });

  test('whose folder is gone is made when the folder is back', async () => {
    await served.service.close();
    const gone = mkdtempSync(join(served.folder, 'gone-'));
    served.socketPath = join(gone, 's');
    rmSync(gone, { recursive: true });
    await served.startAnother();
    expect(problems()).toEqual([expect.stringContaining('give another path')]);
    mkdirSync(gone);
    await eventually(async () => expect((await send(PROCESS_LIST, { socket: true })).status).toBe(200));
  });

  test('that was removed is made again, for its owner only', async () => {
    for (const _ of [1, 2]) {
      rmSync(served.socketPath);
      await eventually(async () => expect((await send(PROCESS_LIST, { socket: true })).status).toBe(200));
      expect(statSync(served.socketPath).mode & 0o777).toBe(0o600);
    }
    await served.service.close();
    expect(() => statSync(served.socketPath)).toThrow('ENOENT');
  });

  test('of a successor survives the end of its predecessor', async () => {
    const mine = join(served.folder, 'successor');
    const successor = createServer((socket) => socket.end('successor'));
    await new Promise<void>((resolve) => {
      successor.listen(mine, resolve);
    });
    renameSync(mine, served.socketPath);
    await served.service.close();
    const heard = await new Promise<string>((resolve, reject) => {
      connect(served.socketPath)
        .on('data', (data) => resolve(String(data)))
        .on('error', reject);
    });
    expect(heard).toBe('successor');
    await new Promise((resolve) => successor.close(resolve));
  });
});

test('a port that another process has is logged with the remedy, and tried until it is free', async () => {
  await served.service.close();
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  served.address = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  await served.startAnother();
  expect(served.service.url).toBeUndefined();
  expect((await send(PROCESS_LIST, { socket: true })).status).toBe(200);
  expect(problems()).toEqual([
    expect.stringMatching(/sapcontrol\.address: .* is in use: stop the process that listens there/),
  ]);
  await new Promise((resolve) => other.close(resolve));
  await eventually(() => expect(served.service.url).toBe(`http://${served.address}`));
});

test('a gateway serves agents although another user has taken the port and the place of the socket', async () => {
  await served.service.close();
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  writeFileSync(served.socketPath, '');
  const upstream = await WireUpstream.start();
  const gateway = await startTestGateway(
    `${poolOf([upstream.url])}sapcontrol: { address: '127.0.0.1:${port}', socket: '${served.socketPath}' }\n`,
  );
  try {
    expect((await fetch(gateway.url, { method: 'POST', body: 'x' })).status).toBe(200);
    expect(gateway.log.filter(({ level }) => level >= 50).map(({ msg }) => msg)).toEqual([
      expect.stringContaining(`127.0.0.1:${port} is in use`),
      expect.stringContaining(`${served.socketPath} exists and is not a socket`),
    ]);
  } finally {
    await gateway.close();
    await upstream.close();
    other.close();
  }
});
