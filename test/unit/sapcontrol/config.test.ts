import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load, MINIMAL, problemsOf, warningsOf } from '../config/support.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ici-gateway-sap-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const configured = (section: string, env: Record<string, string> = {}) =>
  load(`${MINIMAL}sapcontrol: ${section}`, { env }).config.sapcontrol;

describe('the sapcontrol section', () => {
  test('is off by default', () => {
    expect(load(MINIMAL).config.sapcontrol).toBeUndefined();
  });

  test('has the address and socket that SAP tools derive from an instance number', () => {
    expect(configured('{}')).toEqual({
      instanceNumber: '00',
      sid: 'ICI',
      instanceName: 'W00',
      address: '127.0.0.1:50013',
      socket: '/tmp/.sapstream50013',
    });
    expect(configured("{ instanceNumber: '42', sid: WD1 }", { TMPDIR: folder })).toEqual({
      instanceNumber: '42',
      sid: 'WD1',
      instanceName: 'W42',
      address: '127.0.0.1:54213',
      socket: join(folder, '.sapstream54213'),
    });
  });

  test('accepts another address, socket and name', () => {
    const { sapcontrol } = load(
      `${MINIMAL}sapcontrol: { address: '0.0.0.0:1128', socket: ./s, instanceName: WDA }`,
      { file: join(folder, 'gateway.yaml') },
    ).config;
    expect(sapcontrol).toMatchObject({
      instanceName: 'WDA',
      address: '0.0.0.0:1128',
      socket: join(folder, 's'),
    });
  });

  test.each([
    [
      '{ instanceNumber: 7 }',
      'sapcontrol.instanceNumber: must be two digits in quotes, such as "00", but is 7; write it in quotes: "07"',
    ],
    [
      "{ address: '127.0.0.1:9090' }",
      'sapcontrol.address: is 127.0.0.1:9090, the same as admin.address; use another port',
    ],
    [
      "{ address: '127.0.0.1:8080' }",
      'sapcontrol.address: is 127.0.0.1:8080, the same as listen.address; use another port',
    ],
    [`{ socket: /${'x'.repeat(98)} }`, 'sapcontrol.socket: is longer than 98 bytes; use a shorter path'],
    [
      '{ passwordFile: /nonexistent/passwords }',
      'sapcontrol.passwordFile: /nonexistent/passwords cannot be read: no such file',
    ],
    ['{ passwordFile: /dev/null }', expect.stringContaining('/dev/null has no line; make one with:')],
  ])('%s is refused with its remedy', (section, problem) => {
    const problems = problemsOf(`${MINIMAL}sapcontrol: ${section}`);
    expect(problems.map((line) => line.replace(/^gateway\.yaml:\d+:\d+ /, ''))).toEqual([problem]);
  });

  test.each([
    ['in no folder', 'none/s', 'none: no such folder; use a folder'],
    ['below a file', 'file/s', 'file: it is not a folder; use a folder'],
    ['at a file', 'file', 'file exists and is not a socket \\(it belongs to uid \\d+\\); remove it'],
    ['at a folder', 'inner', 'inner exists and is not a socket \\(it belongs to uid \\d+\\); remove it'],
  ])('starts without a socket %s, and warns', (_where, path, problem) => {
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'inner'), { recursive: true });
    expect(warningsOf(`${MINIMAL}sapcontrol: { socket: ${join(folder, path)} }`)).toEqual([
      expect.stringMatching(new RegExp(`sapcontrol\\.socket: .*${join(folder, problem)}`)),
    ]);
  });

  test('warns of a socket in an inaccessible directory, with the reason', () => {
    const loop = join(folder, 'loop');
    symlinkSync(loop, loop);
    expect(warningsOf(`${MINIMAL}sapcontrol: { socket: ${loop}/s }`)).toEqual([
      expect.stringMatching(/loop\/s cannot be created in .*loop: .*(ELOOP|symbolic links).*; use a folder/),
    ]);
  });

  test('accepts an existing socket, of a running gateway or left by a dead one', async () => {
    const socket = join(folder, 'held');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    expect(configured(`{ socket: ${socket} }`)?.socket).toBe(socket);
    await new Promise((resolve) => server.close(resolve));
  });
});
