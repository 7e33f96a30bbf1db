import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Answer } from './sapcontrol-support.ts';
import { basic, PROCESS_LIST, prefixed, ServedSapControl, STOP, unprefixed } from './sapcontrol-support.ts';

let served: ServedSapControl;
let send: ServedSapControl['send'];

beforeEach(async () => {
  served = await ServedSapControl.start();
  send = served.send.bind(served);
});

afterEach(() => served.close());

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
      served.source.set({ state });
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
        httpPort: new URL(served.url).port,
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
    expect(served.source.acts).toEqual(['stop 0']);
    served.source.set({ state: 'Draining' });
    const [draining] = (await call('<ns1:GetProcessList/>')).body.GetProcessListResponse.process.item;
    expect(draining).toMatchObject({ dispstatus: 'SAPControl-YELLOW', textstatus: 'Stopping' });
    served.source.set({ state: 'Stopped' });
    expect(exitCode(await call('<ns1:GetProcessList/>'))).toBe(4);
    expect((await call('<ns1:Start/>')).body.Fault.faultstring).toContain('in state Stopped');
  });

  test('see RED while no worker is running', async () => {
    served.source.set({ workers: 0 });
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

  test.each(['port', 'socket'])('are described by a WSDL at any path of the %s', async (where) => {
    const way = { method: 'GET', socket: where === 'socket', headers: { host: 'crmgw1:50713' } };
    for (const path of [
      '/?wsdl',
      '/?WSDL',
      '/SAPControl.cgi?wsdl',
      '/sapcontrol?wsdl',
      '/SAPControl?Wsdl=',
      '/SAPHostControl/?x=1&wsdl',
      '/%zz?wsdl',
    ]) {
      const { status, text } = await send('', { ...way, path });
      expect([path, status, /location="([^"]*)"/.exec(text)?.[1]]).toEqual([
        path,
        200,
        'http://crmgw1:50713/SAPControl.cgi',
      ]);
    }
    for (const path of ['/', '/wsdl', '/?x=wsdl', '/?wsdl2', '/elsewhere', '/%zz']) {
      const { status, text } = await send('', { ...way, path });
      expect([path, status, text]).toEqual([path, 404, expect.stringMatching(/^not found: /)]);
    }
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
    ['an invalid type', STOP, { 'content-type': ';;;' }, 415],
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
