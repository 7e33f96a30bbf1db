import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PROCESS_LIST, ServedSapControl } from './sapcontrol-support.ts';

let served: ServedSapControl;
let send: ServedSapControl['send'];

beforeEach(async () => {
  served = await ServedSapControl.start();
  send = served.send.bind(served);
});

afterEach(() => served.close());

describe('the Unix socket', () => {
  test('can be opened by its owner only, and is removed with the service', async () => {
    expect(statSync(served.socketPath).mode & 0o777).toBe(0o600);
    await served.service.close();
    expect(() => statSync(served.socketPath)).toThrow('ENOENT');
  });

  test('that a dead process left is replaced; one with a live process is not', async () => {
    const second = served.compose();
    await expect(second.listen()).rejects.toThrow('another process listens on');
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

  test('is refused if another file exists or none can be created, even after the check', async () => {
    await served.service.close();
    const late = served.compose();
    writeFileSync(served.socketPath, 'precious');
    await expect(late.listen()).rejects.toThrow('is not a socket');
    expect(statSync(served.socketPath).size).toBe(8);
    const gone = mkdtempSync(join(served.folder, 'gone-'));
    served.socketPath = join(gone, 's');
    const later = served.compose();
    rmSync(gone, { recursive: true });
    await expect(later.listen()).rejects.toThrow('give another path');
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
