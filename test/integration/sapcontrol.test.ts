import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { OutgoingHttpHeaders } from 'node:http';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { XMLParser } from 'fast-xml-parser';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import { formatPasswordLine } from '../../src/core/password-record.ts';
import { hashPassword } from '../../src/sapcontrol/password.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import type { SapControl } from '../../src/wiring/sapcontrol.ts';
import { composeSapControl } from '../../src/wiring/sapcontrol.ts';
import type { FakeSource } from '../support/sapcontrol.ts';
import { fakeSource } from '../support/sapcontrol.ts';

// Cheaper than in production, so that tests are fast.
const COST = { logN: 14, blockSize: 1, parallelization: 1 };
const PASSWORD = 'pa:ß wort';

let folder: string;
let socketPath: string;
let source: FakeSource;
let service: SapControl;
let url: string;

function configured(more = ''): { config: Config; options: NonNullable<Config['sapcontrol']> } {
  const { config } = loadConfig({
    text: `
pools: [{ name: ici, instances: [{ id: a, url: 'http://10.0.0.1:8080' }, { id: b, url: 'https://10.0.0.2' }] }]
sapcontrol: { instanceNumber: '07', address: '127.0.0.1:0', socket: '${socketPath}'${more} }
`,
    env: {},
  });
  if (config.sapcontrol === undefined) throw new Error('the section is missing');
  return { config, options: config.sapcontrol };
}

function compose(more = ''): SapControl {
  const { config, options } = configured(more);
  const parts = { ...source, logger: pino({ level: 'silent' }) };
  return composeSapControl(config, options, parts, new Metrics({ processMetrics: false }));
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ici-sapcontrol-'));
  socketPath = join(folder, '.sapstream50713');
  const passwordFile = join(folder, 'passwords');
  writeFileSync(
    passwordFile,
    `# operators\n${formatPasswordLine(await hashPassword('müller', PASSWORD, COST))}\n`,
  );
  source = fakeSource();
  service = compose(`, passwordFile: '${passwordFile}'`);
  url = await service.listen();
});

afterEach(async () => {
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a parsed document
  readonly body: any;
}

const parser = new XMLParser({
  removeNSPrefix: true,
  parseTagValue: false,
  isArray: (name) => name === 'item',
});

interface Way {
  readonly socket?: boolean;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly method?: string;
}

async function send(
  content: string | Buffer,
  { socket, path = '/', headers, method = 'POST' }: Way = {},
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const where = socket === true ? { socketPath } : { host: hostname, port };
  return new Promise((resolve, reject) => {
    const sent = request(
      { ...where, path, method, agent: false, headers: headers ?? {}, timeout: 10_000 },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const isXml = response.headers['content-type']?.startsWith('text/xml') === true;
          const body = isXml ? parser.parse(text).Envelope?.Body : undefined;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body });
        });
      },
    );
    sent.on('error', reject);
    sent.end(content);
  });
}

/** In the format of gSOAP, which SAP's own tools use. */
const prefixed = (call: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:ns1="urn:SAPControl">\n  <SOAP-ENV:Body>${call}</SOAP-ENV:Body>\n</SOAP-ENV:Envelope>`;
/** In the format of gowsdl, which sap_host_exporter and sapagent use. */
const unprefixed = (call: string): string =>
  `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body xmlns="http://schemas.xmlsoap.org/soap/envelope/">${call}</Body></Envelope>`;

const basic = (user: string, password: string): OutgoingHttpHeaders => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});
const OPERATOR = basic('müller', PASSWORD);

const STOP = prefixed('<ns1:Stop><softtimeout>300</softtimeout><IsSystemStop>0</IsSystemStop></ns1:Stop>');
const PROCESS_LIST = prefixed('<ns1:GetProcessList/>');

/** The exit code of `sapcontrol -function GetProcessList`: 3 if all run, 4 if all are stopped, else 0. */
function exitCode({ status, body }: Answer): number {
  const processes: { dispstatus: string }[] = body?.GetProcessListResponse?.process?.item ?? [];
  if (status !== 200 || processes.length === 0) return 1;
  const all = (color: string): boolean =>
    processes.every(({ dispstatus }) => dispstatus === `SAPControl-${color}`);
  if (all('GREEN')) return 3;
  return all('GRAY') ? 4 : 0;
}

describe('monitors of SAP systems', () => {
  test.each([
    [
      'gSOAP',
      prefixed('<ns1:GetProcessList/>'),
      { 'content-type': 'text/xml; charset=utf-8', soapaction: '""' },
    ],
    [
      'gowsdl',
      unprefixed('<GetProcessList xmlns="urn:SAPControl"></GetProcessList>'),
      { 'content-type': 'text/xml; charset="utf-8"', soapaction: "''", 'user-agent': 'gowsdl/0.1' },
    ],
    ['curl without a type', PROCESS_LIST, {}],
    ['curl -d', PROCESS_LIST, { 'content-type': 'application/x-www-form-urlencoded' }],
    ['a client that has a password, and a wrong one', PROCESS_LIST, basic('', '')],
  ])('get the process list in the format of %s', async (_, message, headers) => {
    for (const path of ['/', '/SAPControl.cgi', '/%'])
      for (const socket of [false, true]) {
        const { status, text, body } = await send(message, { headers, path, socket });
        expect(status, text).toBe(200);
        expect(body.GetProcessListResponse.process.item).toEqual([
          expect.objectContaining({
            name: 'sapwebdisp',
            description: 'Web Dispatcher',
            dispstatus: 'SAPControl-GREEN',
            textstatus: 'Running',
            starttime: '2019 05 01 22:20:38',
            elapsedtime: expect.stringMatching(/^\d+:\d\d:\d\d$/),
            pid: '4711',
          }),
        ]);
      }
  });

  test('compute the exit codes of sapcontrol from it', async () => {
    const codes: Record<string, number> = {};
    for (const state of [
      'Starting',
      'Running',
      'Maintenance',
      'Drifted',
      'Isolated',
      'Stopping',
      'Draining',
      'Stopped',
    ] as const) {
      source.set({ state });
      codes[state] = exitCode(await send(PROCESS_LIST));
    }
    expect(codes).toEqual({
      Starting: 0,
      Running: 3,
      Maintenance: 0,
      Drifted: 0,
      Isolated: 0,
      Stopping: 0,
      Draining: 0,
      Stopped: 4,
    });
  });

  test("get the labels from sap_host_exporter's first request, and then the list of instances", async () => {
    const headers = { soapaction: "''", 'content-type': 'text/xml; charset="utf-8"', ...basic('', '') };
    const properties = await send(
      unprefixed('<GetInstanceProperties xmlns="urn:SAPControl"></GetInstanceProperties>'),
      { headers },
    );
    const values = Object.fromEntries(
      properties.body.GetInstancePropertiesResponse.properties.item.map(
        ({ property, value }: { property: string; value: string }) => [property, value],
      ),
    );
    expect(values).toMatchObject({ SAPSYSTEM: '07', SAPSYSTEMNAME: 'ICI', INSTANCE_NAME: 'W07' });
    expect(values['SAPLOCALHOST']).not.toBe('');
    expect(values['Protected Webmethods'].split(',')).toEqual([
      'Start',
      'Stop',
      'Shutdown',
      'RestartInstance',
      'SendSignal',
    ]);

    const instances = await send(
      unprefixed(
        '<GetSystemInstanceList xmlns="urn:SAPControl"><timeout>0</timeout></GetSystemInstanceList>',
      ),
      { headers },
    );
    expect(instances.body.GetSystemInstanceListResponse.instance.item).toEqual([
      {
        hostname: values['SAPLOCALHOST'],
        instanceNr: '7',
        httpPort: new URL(url).port,
        httpsPort: '0',
        startPriority: '3',
        features: 'WEBDISP',
        dispstatus: 'SAPControl-GREEN',
      },
    ]);
    // Methods of a dispatcher only are refused like any other unknown method.
    const queues = await send(unprefixed('<GetQueueStatistic xmlns="urn:SAPControl"></GetQueueStatistic>'), {
      headers,
    });
    expect([queues.status, queues.body.Fault.faultcode]).toEqual([500, 'SOAP-ENV:Client']);
  });

  test('can carry out the steps of a Pacemaker SAPInstance over the Unix socket', async () => {
    const call = async (content: string): Promise<Answer> => send(prefixed(content), { socket: true });
    // Checks that the start service belongs to this instance; otherwise the agent kills and restarts it.
    const name = await call('<ns1:ParameterValue><parameter>INSTANCE_NAME</parameter></ns1:ParameterValue>');
    expect(name.body.ParameterValueResponse.value).toBe('W07');
    const access = await call('<ns1:AccessCheck><function>Start</function></ns1:AccessCheck>');
    expect([access.status, access.body.AccessCheckResponse]).toEqual([200, '']);
    // Start, then wait until all processes are GREEN.
    expect((await call('<ns1:Start><runlevel></runlevel></ns1:Start>')).body.StartResponse).toBe('');
    expect(exitCode(await call('<ns1:GetProcessList/>'))).toBe(3);
    // A long soft stop counts as running, so that the cluster does not fail over.
    const stop = await call(
      '<ns1:Stop><softtimeout>0</softtimeout><IsSystemStop>0</IsSystemStop></ns1:Stop>',
    );
    expect(stop.text).toContain('<SAPControl:StopResponse></SAPControl:StopResponse>');
    expect(source.acts).toEqual(['stop 0']);
    source.set({ state: 'Draining' });
    const [draining] = (await call('<ns1:GetProcessList/>')).body.GetProcessListResponse.process.item;
    expect(draining).toMatchObject({ dispstatus: 'SAPControl-YELLOW', textstatus: 'Stopping' });
    source.set({ state: 'Stopped' });
    expect(exitCode(await call('<ns1:GetProcessList/>'))).toBe(4);
    expect((await call('<ns1:Start/>')).body.Fault.faultstring).toContain('in state Stopped');
  });

  test('see RED while no worker is running', async () => {
    source.set({ workers: 0 });
    const answer = await send(PROCESS_LIST);
    expect(answer.body.GetProcessListResponse.process.item[0].dispstatus).toBe('SAPControl-RED');
    expect(exitCode(answer)).toBe(0);
  });
});

describe('read methods', () => {
  test('return the state and load of instances', async () => {
    const { body } = await send(prefixed('<ns1:WebDispGetServerList/>'));
    expect(body.WebDispGetServerListResponse.server.item).toEqual([
      expect.objectContaining({
        sid: 'ici',
        instance: 'a',
        hostname: '10.0.0.1',
        protocol: 'HTTP',
        status: 'ACTIVE',
        port: '8080',
        'cur-conn': '3',
        load: '4',
        'sec-port': '0',
      }),
      expect.objectContaining({
        sid: 'ici',
        instance: 'b',
        hostname: '10.0.0.2',
        protocol: 'HTTPS',
        status: 'DOWN',
        port: '0',
        'cur-conn': '0',
        'sec-port': '443',
      }),
    ]);
  });

  test('return the version and the build time of the program', async () => {
    const { body } = await send(prefixed('<ns1:GetVersionInfo/>'));
    expect(body.GetVersionInfoResponse.version.item).toEqual([
      {
        Filename: 'ici-gateway',
        VersionInfo: `1.2.3, Node.js ${process.versions.node}, ${process.platform} ${process.arch}`,
        Time: expect.stringMatching(/^\d{4} \d\d \d\d \d\d:\d\d:\d\d$/),
      },
    ]);
  });

  test('return the configuration in effect as parameters', async () => {
    const value = async (name: string): Promise<string> =>
      (await send(prefixed(`<ns1:ParameterValue><parameter>${name}</parameter></ns1:ParameterValue>`))).body
        .ParameterValueResponse.value;
    expect(await value('icm/max_conn')).toBe('10000');
    expect(await value('SAPSYSTEM')).toBe('07');
    const all = await value('');
    expect(all.split('\n')).toEqual(
      expect.arrayContaining([
        'icm/keep_alive_timeout=75',
        'icm/max_init_time=120',
        'wdisp/status_poll_interval=0',
        'icm/server_port_0=PROT=HTTP,PORT=8080,HOST=127.0.0.1,TIMEOUT=75,PROCTIMEOUT=60',
        'wdisp/auto_refresh=2',
        'wdisp/system_0=SID=ici, EXTSRV=http://10.0.0.1:8080;https://10.0.0.2, SRCURL=/, STICKY=false',
      ]),
    );
    const unknown = await send(
      prefixed('<ns1:ParameterValue><parameter>rdisp/x</parameter></ns1:ParameterValue>'),
    );
    expect(unknown.body.Fault.faultstring).toContain('an empty name lists');
  });

  test('are described by a WSDL at both of its addresses', async () => {
    for (const path of ['/?wsdl', '/?WSDL', '/SAPControl.cgi?wsdl']) {
      const { status, text } = await send('', { method: 'GET', path, headers: { host: 'crmgw1:50713' } });
      expect([status, /location="([^"]*)"/.exec(text)?.[1]]).toEqual([
        200,
        'http://crmgw1:50713/SAPControl.cgi',
      ]);
    }
    expect((await send('', { method: 'GET', path: '/' })).status).toBe(404);
    for (const path of ['/elsewhere?wsdl', '/%zz?wsdl']) {
      const { status, text } = await send('', { method: 'GET', path });
      expect([status, text]).toEqual([404, expect.stringMatching(/^not found: /)]);
    }
  });
});

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
    expect(source.acts).toEqual([act, act]);
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
    expect(source.acts).toEqual([]);
  });

  test('uses a changed password file at once', async () => {
    const line = formatPasswordLine(await hashPassword('meier', 'other', COST));
    writeFileSync(join(folder, 'passwords'), `${line}\n`);
    expect((await send(STOP, { headers: OPERATOR })).status).toBe(401);
    expect((await send(STOP, { headers: basic('meier', 'other') })).status).toBe(200);
  });

  test('is refused while the password file cannot be read, without naming its path', async () => {
    rmSync(join(folder, 'passwords'));
    const { status, text, body } = await send(STOP, { headers: OPERATOR });
    expect([status, body.Fault.faultcode]).toEqual([500, 'SOAP-ENV:Server']);
    expect(text).not.toContain(folder);
    expect(source.acts).toEqual([]);
  });

  test('limits the number of passwords that wait for a check', async () => {
    const attempts = await Promise.all(
      Array.from({ length: 40 }, async () => send(STOP, { headers: basic('müller', 'no') })),
    );
    const statuses = attempts.map(({ status }) => status);
    expect(statuses).toContain(401);
    expect(statuses).toContain(503);
    expect(new Set(statuses).size).toBe(2);
    expect((await send(STOP, { headers: OPERATOR })).status).toBe(200);
  });

  test('is refused to a page in a browser', async () => {
    for (const socket of [false, true])
      expect(
        (await send(STOP, { socket, headers: { ...OPERATOR, origin: 'http://evil.example' } })).status,
      ).toBe(403);
    expect(source.acts).toEqual([]);
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
    expect(source.acts).toEqual([]);
  });

  test('that the gateway cannot make gets the reason', async () => {
    source.set({ refuses: true });
    const { body } = await send(prefixed('<ns1:RestartInstance/>'), { socket: true });
    expect(body.Fault).toEqual({
      faultcode: 'SOAP-ENV:Server',
      faultstring: expect.stringContaining('restart its service'),
    });
  });

  test('needs a password file, or the socket', async () => {
    await service.close();
    service = compose();
    url = await service.listen();
    for (const message of [STOP, prefixed('<ns1:AccessCheck><function>Stop</function></ns1:AccessCheck>')]) {
      const { status, body } = await send(message, { headers: OPERATOR });
      expect([status, body.Fault.faultcode]).toEqual([500, 'SOAP-ENV:Server']);
      expect(body.Fault.faultstring).toContain('sapcontrol.passwordFile');
    }
    expect(source.acts).toEqual([]);
    expect(
      (await send(prefixed('<ns1:AccessCheck><function>GetProcessList</function></ns1:AccessCheck>'))).status,
    ).toBe(200);
    expect((await send(STOP, { socket: true })).status).toBe(200);
  });
});

describe('an invalid message', () => {
  test.each([
    ['nothing', '', {}, 500],
    ['no XML', 'hello', {}, 500],
    ['bytes', Buffer.from([0, 255, 254, 0]), {}, 500],
    ['a document type', `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>${STOP}`, {}, 500],
    ['an unknown method', prefixed('<ns1:OSExecute><command>id</command></ns1:OSExecute>'), {}, 500],
    ['a name that every object has', prefixed('<ns1:toString/>'), {}, 500],
    ['a dangerous name', prefixed('<ns1:__proto__/>'), {}, 500],
    ['too much', Buffer.alloc(65 * 1_024, 32), {}, 413],
    ['a compressed one', STOP, { 'content-encoding': 'gzip' }, 415],
    ['a type that is none', STOP, { 'content-type': ';;;' }, 415],
  ])('%s gets a Fault', async (_, message, headers, expected) => {
    const { status, body } = await send(message, { headers });
    expect(status).toBe(expected);
    expect(body.Fault.faultcode).toMatch(/^SOAP-ENV:/);
    expect((await send(PROCESS_LIST)).status).toBe(200);
  });

  test('other methods of HTTP are not found', async () => {
    for (const method of ['PUT', 'DELETE', 'OPTIONS']) expect((await send('', { method })).status).toBe(404);
  });
});

describe('the Unix socket', () => {
  test('can be opened by its owner only, and is removed with the service', async () => {
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    await service.close();
    expect(() => statSync(socketPath)).toThrow('ENOENT');
  });

  test('that a dead process left is replaced; one with a live process is not', async () => {
    const second = compose();
    await expect(second.listen()).rejects.toThrow('another process listens on');
    expect((await send(PROCESS_LIST, { socket: true })).status).toBe(200);
    await service.close();

    const left = createServer();
    await new Promise<void>((resolve) => {
      left.listen(join(folder, 'left'), resolve);
    });
    renameSync(join(folder, 'left'), socketPath);
    await new Promise((resolve) => left.close(resolve));
    service = compose();
    url = await service.listen();
    expect((await send(PROCESS_LIST, { socket: true })).status).toBe(200);
  });

  test('is refused if another file exists or none can be created, even after the check', async () => {
    await service.close();
    const late = compose();
    writeFileSync(socketPath, 'precious');
    await expect(late.listen()).rejects.toThrow('is not a socket');
    expect(statSync(socketPath).size).toBe(8);
    const gone = mkdtempSync(join(folder, 'gone-'));
    socketPath = join(gone, 's');
    const later = compose();
    rmSync(gone, { recursive: true });
    await expect(later.listen()).rejects.toThrow('give another path');
  });

  test('of a successor survives the end of its predecessor', async () => {
    const mine = join(folder, 'successor');
    const successor = createServer((socket) => socket.end('successor'));
    await new Promise<void>((resolve) => {
      successor.listen(mine, resolve);
    });
    renameSync(mine, socketPath);
    await service.close();
    const heard = await new Promise<string>((resolve, reject) => {
      connect(socketPath)
        .on('data', (data) => resolve(String(data)))
        .on('error', reject);
    });
    expect(heard).toBe('successor');
    await new Promise((resolve) => successor.close(resolve));
  });
});
