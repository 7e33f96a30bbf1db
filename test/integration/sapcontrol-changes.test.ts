import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  basic,
  OPERATOR,
  PASSWORD,
  prefixed,
  ServedSapControl,
  STOP,
  writePasswordFile,
} from './sapcontrol-support.ts';

let served: ServedSapControl;
let send: ServedSapControl['send'];

beforeEach(async () => {
  served = await ServedSapControl.start();
  send = served.send.bind(served);
});

afterEach(() => served.close());

describe('a change', () => {
  test.each([
    [STOP, 'stop 300000'],
    [prefixed('<ns1:Stop/>'), 'stop 0'],
    [prefixed('<ns1:Shutdown><IsSystemStop>0</IsSystemStop></ns1:Shutdown>'), 'stop undefined'],
    [prefixed('<ns1:RestartInstance><softtimeout>5</softtimeout></ns1:RestartInstance>'), 'restart 5000'],
    [prefixed('<ns1:SendSignal><pid>4712</pid><signal>1</signal></ns1:SendSignal>'), 'SIGHUP to 4712'],
    [prefixed('<ns1:SendSignal><pid>4711</pid><signal>sigusr2</signal></ns1:SendSignal>'), 'SIGUSR2 to 4711'],
    [prefixed('<ns1:SendSignal><pid>4711</pid><signal>QUIT</signal></ns1:SendSignal>'), 'SIGQUIT to 4711'],
  ])('(%#) is allowed with a password, and for the owner of the socket', async (message, act) => {
    expect((await send(message, { headers: OPERATOR })).status).toBe(200);
    expect((await send(message, { socket: true })).status).toBe(200);
    expect(served.source.acts).toEqual([act, act]);
  });

  test.each([
    ['no credentials', {}],
    ['a wrong password', basic('müller', 'pa:ß wor')],
    ['an unknown user', basic('meier', PASSWORD)],
    ['no colon', { authorization: `Basic ${Buffer.from('müller').toString('base64')}` }],
    ['a control character', basic('müller', `${PASSWORD}\0`)],
    ['no base64', { authorization: 'Basic %%%' }],
    ['another scheme', { authorization: 'Bearer abc' }],
    ['far too much', basic('müller', 'x'.repeat(4_000))],
  ])('gets 401 for %s', async (_, headers) => {
    for (const message of [STOP, prefixed('<ns1:AccessCheck><function>Stop</function></ns1:AccessCheck>')]) {
      const { status, headers: answered, body } = await send(message, { headers });
      expect([status, answered['www-authenticate']]).toEqual([
        401,
        'Basic realm="SAPControl", charset="UTF-8"',
      ]);
      expect(body.Fault.faultstring).toMatch(/password/);
    }
    expect(served.source.acts).toEqual([]);
  });

  test('uses a changed password file at once', async () => {
    await writePasswordFile(served.passwordFile, 'meier', 'other');
    expect((await send(STOP, { headers: OPERATOR })).status).toBe(401);
    expect((await send(STOP, { headers: basic('meier', 'other') })).status).toBe(200);
  });

  test('is refused while the password file cannot be read, without naming its path', async () => {
    rmSync(served.passwordFile);
    const { status, text, body } = await send(STOP, { headers: OPERATOR });
    expect([status, body.Fault.faultcode]).toEqual([500, 'SOAP-ENV:Server']);
    expect(text).not.toContain(served.folder);
    expect(served.source.acts).toEqual([]);
  });

  test('limits the number of passwords that wait for a check', async () => {
    const attempts = await Promise.all(
      Array.from({ length: 120 }, async () => send(STOP, { headers: basic('müller', 'no') })),
    );
    const statuses = attempts.map(({ status }) => status);
    expect(statuses).toContain(401);
    expect(statuses).toContain(503);
    expect(new Set(statuses).size).toBe(2);
    expect((await send(STOP, { headers: OPERATOR })).status).toBe(200);
  });

  test('is answered beside 105 idle connections and 30 guessers', async () => {
    const { hostname, port } = new URL(served.url);
    const idle = Array.from({ length: 105 }, () => connect(Number(port), hostname).on('error', () => {}));
    try {
      await Promise.all(idle.map((socket) => once(socket, 'connect')));
      const guesses = Array.from({ length: 30 }, () => send(STOP, { headers: basic('müller', 'no') }));
      expect((await send(STOP, { headers: OPERATOR })).status).toBe(200);
      expect(new Set((await Promise.all(guesses)).map(({ status }) => status))).toEqual(new Set([401]));
    } finally {
      for (const socket of idle) socket.destroy();
    }
  });

  test('is refused to a page in a browser', async () => {
    for (const socket of [false, true])
      expect(
        (await send(STOP, { socket, headers: { ...OPERATOR, origin: 'http://evil.example' } })).status,
      ).toBe(403);
    expect(served.source.acts).toEqual([]);
  });

  test.each([
    [
      'a process of others',
      prefixed('<ns1:SendSignal><pid>1</pid><signal>9</signal></ns1:SendSignal>'),
      '4711, 4712, 4713',
    ],
    [
      'no signal',
      prefixed('<ns1:SendSignal><pid>4711</pid><signal>SIGNOPE</signal></ns1:SendSignal>'),
      'is not a signal',
    ],
    [
      'signal 0',
      prefixed('<ns1:SendSignal><pid>4711</pid><signal>0</signal></ns1:SendSignal>'),
      'is not a signal',
    ],
    ['time that runs back', prefixed('<ns1:Stop><softtimeout>-1</softtimeout></ns1:Stop>'), 'seconds from 0'],
    ['a word for a number', prefixed('<ns1:Stop><softtimeout>now</softtimeout></ns1:Stop>'), 'integer'],
    ['more than 32 bits', prefixed('<ns1:Stop><softtimeout>9999999999</softtimeout></ns1:Stop>'), 'integer'],
  ])('gets a Fault for %s', async (_, message, reason) => {
    const { status, body } = await send(message, { socket: true });
    expect([status, body.Fault.faultcode]).toEqual([500, 'SOAP-ENV:Client']);
    expect(body.Fault.faultstring).toContain(reason);
    expect(served.source.acts).toEqual([]);
  });

  test('that the gateway cannot make gets the reason', async () => {
    served.source.set({ refuses: true });
    const { body } = await send(prefixed('<ns1:RestartInstance/>'), { socket: true });
    expect(body.Fault).toEqual({
      faultcode: 'SOAP-ENV:Server',
      faultstring: expect.stringContaining('restart its service'),
    });
  });

  test('needs a password file, or the socket', async () => {
    await served.service.close();
    await served.startAnother();
    for (const message of [STOP, prefixed('<ns1:AccessCheck><function>Stop</function></ns1:AccessCheck>')]) {
      const { status, body } = await send(message, { headers: OPERATOR });
      expect([status, body.Fault.faultcode]).toEqual([500, 'SOAP-ENV:Server']);
      expect(body.Fault.faultstring).toContain('sapcontrol.passwordFile');
    }
    expect(served.source.acts).toEqual([]);
    expect(
      (await send(prefixed('<ns1:AccessCheck><function>GetProcessList</function></ns1:AccessCheck>'))).status,
    ).toBe(200);
    expect((await send(STOP, { socket: true })).status).toBe(200);
  });
});
