import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { storedForm } from '../../src/core/stored-name.ts';
import { eventually } from '../support/eventually.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

/** An instance that answers every request with its name. */
async function startInstance(name: string) {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end(name));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return { name, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const envelope = (operation: string, parameters: string): string =>
  `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><${operation}>${parameters}</${operation}></s:Body></s:Envelope>`;

describe('names in bodies', () => {
  let instances: Awaited<ReturnType<typeof startInstance>>[] = [];
  let gateway: TestGateway;

  beforeEach(async () => {
    instances = await Promise.all(['a', 'b'].map(startInstance));
  });
  afterEach(async () => {
    await gateway.close();
    for (const { server } of instances) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function start(identity: string): Promise<void> {
    gateway = await startTestGateway(`
pools:
  - name: ici
    mode: sticky
    balancer: round-robin
    health: { interval: 200ms, fastInterval: 50ms }
    instances: [${instances.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`).join(', ')}]
identity: ${identity}
logging: { level: debug }
`);
  }

  async function send(
    parameters: string,
    { operation = 'op', headers = {} as Record<string, string> } = {},
  ): Promise<{ status: number; text: string }> {
    const response = await fetch(gateway.url, {
      method: 'POST',
      headers: { 'content-type': 'text/xml', ...headers },
      body: envelope(operation, parameters),
    });
    return { status: response.status, text: await response.text() };
  }
  const place = async (...request: Parameters<typeof send>): Promise<string> => (await send(...request)).text;

  async function ignored(source: string, reason: string): Promise<number> {
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    const found = new RegExp(
      `^gateway_names_ignored_total\\{pool="ici",source="${source}",reason="${reason}"\\} (\\d+)$`,
      'm',
    ).exec(metrics);
    return Number(found?.[1] ?? 0);
  }

  test('of a search for all agents move no agent: each session keeps its agent', async () => {
    await start('{}');
    const miller = await place('<user>MILLER</user><appId>A1</appId>');
    const smith = await place('<user>SMITH</user><appId>A2</appId>');
    expect(smith).not.toBe(miller);

    expect(await place('<user>*</user><appId>A1</appId>')).toBe(miller);
    expect(await place('<user>*</user><appId>A2</appId>')).toBe(smith);
    expect(await place('<appId>A2</appId>')).toBe(smith);
    expect(await place('<user>*</user><userId>MILLER</userId>')).toBe(miller);
    await eventually(async () => expect(await ignored('body', 'wildcard')).toBe(3));
  });

  test('of other agents are ignored if the session is known, counted, and logged with their operation', async () => {
    await start('{}');
    const other = await place('<userId>OTHER</userId>');
    const session = await place('<appId>A1</appId>');
    expect(session).not.toBe(other);

    expect(await place('<userId>OTHER</userId><appId>A1</appId>', { operation: 'getPresence' })).toBe(
      session,
    );

    expect(await place('<appId>A1</appId>')).toBe(session);
    expect(await place('<userId>OTHER</userId>')).toBe(other);
    await eventually(async () => expect(await ignored('body', 'found')).toBe(1));
    const line = gateway.log.find(({ msg }) =>
      msg.startsWith('a name found in the body is bound to another instance'),
    );
    expect(line).toMatchObject({ level: 20, operation: 'getPresence', user: 'OTHER', passedOver: other });
    const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
    expect(metrics).not.toMatch(/^gateway_affinity_conflicts_total\{.*\} [1-9]/m);
  });

  test('in the form of the digests that logs and listings show lead to no agent', async () => {
    await start('{}');
    const long = 'M'.repeat(60);
    const sent = (user: string, session: string) => ({
      headers: { soapuser: user, cookie: `WS_SESSION_ID=${session}` },
    });
    const miller = await place('', sent(long, 'secret'));
    const smith = await place('', sent('SMITH', 'other'));
    expect(smith).not.toBe(miller);
    const listed = (await (await fetch(`${gateway.adminUrl}/bindings?limit=10`)).json()) as object;
    const digest = storedForm({ kind: 'user', value: long }).value;
    expect(JSON.stringify(listed)).toContain(digest);

    await place('', sent('SMITH', storedForm({ kind: 'session', value: 'secret' }).value));
    await place(`<user>${digest}</user><appId>other</appId>`);

    expect(await place('', { headers: { cookie: 'WS_SESSION_ID=secret' } })).toBe(miller);
    expect(await place('', { headers: { cookie: 'WS_SESSION_ID=other' } })).toBe(smith);
    expect(await place('', { headers: { soapuser: long } })).toBe(miller);
  });

  test('are found in any spelling, and not in elements about other agents', async () => {
    await start('{}');
    const miller = await place('<user>MILLER</user>');
    const smith = await place('<user>SMITH</user>');
    for (const name of ['USERID', 'userid', 'user_id', 'userId']) {
      expect(await place(`<${name}>MILLER</${name}>`)).toBe(miller);
      expect(await place(`<in><x><${name}>smith</${name}></x></in>`)).toBe(smith);
    }
    await place('<user>MILLER</user><appId>A1</appId>');
    expect(await place('<appIds><item>A1</item></appIds>')).toBe(miller);
    expect(
      await place('<callId>7</callId><agent>SMITH</agent>', { headers: { cookie: 'WS_SESSION_ID=A1' } }),
    ).toBe(miller);
  });

  test('link a session to its user only in the configured log-on operations', async () => {
    await start('{ logon: [logOn] }');
    const other = await place('<userId>OTHER</userId>', { operation: 'log_on' });
    const session = await place('<userId>MILLER</userId><appId>A1</appId>', { operation: 'LOGON' });
    expect(session).not.toBe(other);

    // The first request of this session names another person.
    const second = await place('<userId>OTHER</userId><appId>A2</appId>');
    expect(second).not.toBe(await place('<appId>A9</appId>'));
    for (let i = 0; i < 3; i += 1) {
      expect(await place('<userId>OTHER</userId><appId>A1</appId>')).toBe(session);
      expect(await place('<appId>A2</appId>')).toBe(second);
    }
    // A log-on names the user, even of a known session.
    await place('<userId>OTHER</userId><appId>A1</appId>', { operation: 'logOn' });
    expect(await place('<appId>A1</appId>')).toBe(other);
  });

  test.each([
    ['user and session', '<user>MILLER</user><sessionId>S</sessionId>'],
    ['the session', '<sessionId>S</sessionId>'],
  ])('of an agent who has logged on cost no more claims (%s)', async (_, names) => {
    await start('{ logon: [logon] }');
    const instance = await place('<user>MILLER</user><sessionId>S</sessionId>', { operation: 'logon' });
    for (let i = 0; i < 10; i += 1) expect(await place(names)).toBe(instance);
    expect(await gateway.metrics.registry.metrics()).toMatch(
      /^gateway_affinity_operations_total{pool="ici",operation="claim",outcome="ok"} 1$/m,
    );
  });

  test('never overrule the header, even if the body comes first', async () => {
    await start('{ order: [body, header, cookie] }');
    const miller = await place('', { headers: { soapuser: 'MILLER' } });
    const smith = await place('', { headers: { soapuser: 'SMITH', cookie: 'WS_SESSION_ID=A2' } });

    for (let i = 0; i < 3; i += 1) {
      expect(
        await place('<userId>SMITH</userId><appId>A2</appId>', { headers: { soapuser: 'MILLER' } }),
      ).toBe(miller);
      expect(await place('', { headers: { cookie: 'WS_SESSION_ID=A2' } })).toBe(smith);
    }
  });

  test('can be limited by a pattern per source', async () => {
    await start("{ userPattern: { header: '[A-Z]+', body: 'AG[0-9]+' } }");
    const known = await place('<userId>ag1</userId>');
    expect(await place('<userId>X1</userId><user>AG1</user>')).toBe(known);
    expect(await ignored('body', 'pattern')).toBe(1);
    expect(await send('', { headers: { soapuser: 'AG1' } })).toMatchObject({ status: 400 });
    expect((await send('', { headers: { soapuser: 'MILLER' } })).status).toBe(200);
  });

  test('of header and cookie that are invalid are refused, unless another name is left', async () => {
    await start('{}');
    const tooLong = `WS_SESSION_ID=${'x'.repeat(4097)}`;
    const both = await send('', { headers: { soapuser: 'MILLER', cookie: tooLong } });
    expect(both.status).toBe(200);
    expect(await place('', { headers: { soapuser: 'MILLER' } })).toBe(both.text);
    expect(
      (await send('', { headers: { soapuser: 'x'.repeat(257), cookie: 'WS_SESSION_ID=S%3a1' } })).status,
    ).toBe(200);
    const refused = await send('<user>MILLER</user>', { headers: { cookie: tooLong } });
    expect(refused.status).toBe(400);
    expect(refused.text).toContain('GW_IDENTITY_UNUSABLE');
    await eventually(async () => expect(await ignored('cookie', 'length')).toBe(2));
    await eventually(async () => expect(await ignored('header', 'length')).toBe(1));
    expect((await send('', { headers: { cookie: 'WS_SESSION_ID=A\tB' } })).status).toBe(400);
    expect((await send('', { headers: { soapuser: 'A\tB' } })).status).toBe(400);
    await eventually(async () => expect(await ignored('cookie', 'characters')).toBe(1));
    await eventually(async () => expect(await ignored('header', 'characters')).toBe(1));
    const two = 'WS_SESSION_ID=A1; WS_SESSION_ID=A2';
    expect(await send('', { headers: { soapuser: 'MILLER', cookie: two } })).toEqual(both);
    await eventually(async () => expect(await ignored('cookie', 'conflict')).toBe(1));
    expect((await send('', { headers: { cookie: two } })).status).toBe(400);
    // A text that is not a user in a body is one in a header.
    expect((await send('', { headers: { soapuser: '*', cookie: 'WS_SESSION_ID=%' } })).status).toBe(200);
  });

  test('show their hidden characters in listings', async () => {
    await start('{}');
    await send('<user>MIL\u200bLER\u202e</user>');
    const listed = await (await fetch(`${gateway.adminUrl}/pools/ici/agents`)).text();
    expect(listed).toContain('"MIL\\u200bLER\\u202e"');
  });

  test('do not depend on the cache: a session bound by the cookie stays after the gateway has forgotten it', async () => {
    await start('{}\naffinity: { cacheEntries: 100 }');
    const miller = await place('', { headers: { soapuser: 'MILLER', cookie: 'WS_SESSION_ID=A1' } });
    let other = 'OTHER0';
    for (let i = 0; i < 120; i += 1) {
      const name = `OTHER${i}`;
      if ((await place('', { headers: { soapuser: name } })) !== miller) other = name;
    }
    expect(await place(`<userId>${other}</userId>`, { headers: { cookie: 'WS_SESSION_ID=A1' } })).toBe(
      miller,
    );
    expect(await place('', { headers: { cookie: 'WS_SESSION_ID=A1' } })).toBe(miller);
  });
});
