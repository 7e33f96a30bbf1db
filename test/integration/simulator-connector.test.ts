import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { readElement, writeMessage } from '../../src/simulator/wire.ts';
import { eventually } from '../support/eventually.ts';

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

let connector: SimulatedConnector;

beforeEach(async () => {
  connector = await startConnector({ name: 'a' });
});
afterEach(() => connector.close());

function send(
  path: string,
  { method = 'POST', headers = {}, body = '', agent = false as Agent | false } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(new URL(path, connector.url), { method, headers, agent, timeout: 5_000 });
    call.on('error', reject);
    call.on('timeout', () => call.destroy(new Error('timeout')));
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    call.end(body);
  });
}

function soap(method: string, user: string, extra: [string, string][] = [], headers = {}): Promise<Answer> {
  return send('/ici', {
    headers: { 'content-type': 'text/xml; charset=utf-8', ...headers },
    body: writeMessage('1.1', method, [['user', user], ...extra]),
  });
}

const health = async () => JSON.parse((await send('/health', { method: 'GET' })).body);

describe('a simulated connector', () => {
  test('knows an agent from subscribe until work mode 1', async () => {
    expect((await soap('setAttachedData', 'U1')).body).toContain('unknown session');
    expect((await soap('subscribe', 'U1', [['appId', 'x']])).status).toBe(200);
    expect((await soap('setAttachedData', 'u1')).status).toBe(200);
    expect((await health()).sessions).toBe(1);
    expect((await soap('setCurrentWorkmode', 'U1', [['workmode', '1']])).status).toBe(200);
    expect((await soap('setAttachedData', 'U1')).status).toBe(500);
    expect((await health()).sessions).toBe(0);
  });

  test('allows some methods before logon', async () => {
    expect((await soap('exchangeProductInformation', 'U1')).status).toBe(200);
    const attributes = await soap('getAttributes', 'U1');
    expect(attributes.status).toBe(200);
    expect(readElement(attributes.body, 'loggedOn')).toBe('false');
  });

  test('answers an unknown agent with a Client Fault in HTTP 500, in the SOAP version of the request', async () => {
    const fault = await send('/ici', { body: writeMessage('1.2', 'makeCall', [['user', 'U1']]) });
    expect(fault.status).toBe(500);
    expect(fault.headers['content-type']).toContain('application/soap+xml');
    expect(fault.body).toContain('env:Sender');
    expect(fault.body).toContain('unknown session');
  });

  test('reads the user from the header first, and the session from the cookie', async () => {
    const headers = { soapuser: 'MILLER', cookie: 'other=1; WS_SESSION_ID=SID%3aANON-NEW' };
    const answer = await soap('subscribe', 'ANOTHER', [], headers);
    expect(readElement(answer.body, 'user')).toBe('MILLER');
    expect(readElement(answer.body, 'session')).toBe('SID%3aANON-NEW');
    const bySession = await send('/', {
      headers: { cookie: headers.cookie },
      body: writeMessage('1.1', 'makeCall', []),
    });
    expect(bySession.status).toBe(200);
  });

  test('lists all its agents in presence, and forgets them in its next incarnation', async () => {
    await soap('subscribe', 'U1');
    await soap('subscribe', 'U2');
    expect((await soap('getPresence', 'U1')).body).toContain('<users><item>U1</item><item>U2</item></users>');

    const { port, incarnation } = connector;
    await connector.close();
    connector = await startConnector({ name: 'a', port });
    expect((await soap('getPresence', 'U1')).body).toContain('unknown session');
    expect(connector.incarnation).not.toBe(incarnation);
  });

  test('names itself and describes the request in every answer', async () => {
    const body = writeMessage('1.1', 'getAttributes', [['user', 'MÜLLER & CO']]);
    const answer = await send('/', { body });
    expect(answer.headers['x-connector']).toBe('a');
    expect(answer.headers['x-incarnation']).toBe(connector.incarnation);
    expect(readElement(answer.body, 'connector')).toBe('a');
    expect(readElement(answer.body, 'user')).toBe('MÜLLER & CO');
    expect(readElement(answer.body, 'sha256')).toBe(createHash('sha256').update(body).digest('hex'));
    expect((await health()).incarnation).toBe(connector.incarnation);
  });

  test('returns the body byte for byte on request', async () => {
    const body = 'any \u0001 bytes \r\n at all';
    const answer = await send('/', { headers: { 'x-sim-echo': '1', 'content-type': 'text/odd;' }, body });
    expect(answer.body).toBe(body);
    expect(answer.headers['content-type']).toBe('text/odd;');
  });

  test('counts deliveries under the id of the client and that of the proxy', async () => {
    await soap('getAttributes', 'U1', [], { 'x-sim-delivery': 'd1', 'x-request-id': 'r1' });
    await soap('getAttributes', 'U1', [], { 'x-sim-delivery': 'd1', 'x-request-id': 'r2' });
    const report = JSON.parse((await send('/sim/deliveries?ids=1', { method: 'GET' })).body);
    expect(report).toEqual({
      total: 2,
      completed: 2,
      duplicates: ['d1'],
      ids: {
        d1: { started: 2, completed: 2 },
        r1: { started: 1, completed: 1 },
        r2: { started: 1, completed: 1 },
      },
    });
  });

  test('counts a request without its body as begun and not completed', async () => {
    const call = request(connector.url, {
      method: 'POST',
      agent: false,
      headers: { 'content-length': '100', 'x-sim-delivery': 'half' },
    });
    call.on('error', () => undefined);
    call.write('only this');
    await eventually(() => expect(connector.deliveries.get('half')).toEqual({ started: 1, completed: 0 }));
    call.destroy();
  });

  test('writes its deliveries so that they survive a kill', async () => {
    const journal = join(tmpdir(), `ici-gateway-journal-${process.pid}`);
    await connector.close();
    connector = await startConnector({ name: 'a', journal: journal });
    await soap('getAttributes', 'U1', [], { 'x-sim-delivery': 'd1' });
    const { incarnation } = connector;
    const lines = readFileSync(journal, 'utf8').replace(/ \d+\.\d{3} /g, ' AT ');
    expect(lines).toBe(`header AT ${incarnation} d1\nbody AT ${incarnation} d1\n`);
    rmSync(journal);
  });

  test('answers 413 to a body above its limit', async () => {
    await connector.close();
    connector = await startConnector({ name: 'a', maxBodyBytes: 10 });
    expect((await send('/', { body: '12345678901' })).status).toBe(413);
    expect((await send('/', { body: '1234567890' })).status).toBe(500);
  });

  test('keeps a connection open for a client that wants keep-alive', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await send('/health', { method: 'GET', agent });
    await send('/health', { method: 'GET', agent });
    agent.destroy();
    expect(connector.connections).toBe(1);
  });

  test('reports its state, and refuses unknown behaviours', async () => {
    await soap('subscribe', 'U1', [
      ['appId', 'x'],
      ['appUrl', 'http://crm/'],
    ]);
    const state = JSON.parse((await send('/sim/state', { method: 'GET' })).body);
    expect(state.sessions).toMatchObject([
      { user: 'U1', subscriptions: [{ appId: 'x', appUrl: 'http://crm/' }], requests: 1 },
    ]);
    expect((await send('/sim/nothing', { method: 'GET' })).status).toBe(404);
    expect((await send('/sim/behave', { body: '{"mode":"x"}' })).status).toBe(400);
  });
});

describe('a misbehaving connector', () => {
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => 'answered',
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    );

  test('that resets has carried out the request and sent nothing', async () => {
    await connector.behave({ mode: 'reset' });
    expect(await failure(soap('subscribe', 'U1', [], { 'x-sim-delivery': 'd' }))).toBe('ECONNRESET');
    expect(connector.deliveries.get('d')).toEqual({ started: 1, completed: 1 });
    expect(connector.sessions()).toHaveLength(1);
  });

  test('that resets in the middle has sent the header and half of the body', async () => {
    await connector.behave({ mode: 'reset-mid-response' });
    const seen = await new Promise<{ status: number; length: number; bytes: number; error: string }>(
      (resolve) => {
        const call = request(new URL('/health', connector.url), { agent: false });
        call.on('response', (response) => {
          let bytes = 0;
          response.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
          });
          response.on('error', (error: NodeJS.ErrnoException) =>
            resolve({
              status: response.statusCode ?? 0,
              length: Number(response.headers['content-length']),
              bytes,
              error: error.code ?? '',
            }),
          );
        });
        call.end();
      },
    );
    expect(seen).toMatchObject({ status: 200, error: 'ECONNRESET' });
    expect(seen.bytes).toBe(seen.length >> 1);
  });

  test('that sends garbage cannot be understood', async () => {
    await connector.behave({ mode: 'garbage' });
    expect(await failure(health())).toMatch(/^HPE_/);
  });

  test('that refuses does not listen, and returns with all its agents', async () => {
    await soap('subscribe', 'U1');
    await connector.behave({ mode: 'refuse' });
    expect(await failure(health())).toBe('ECONNREFUSED');
    await connector.behave({ mode: 'normal' });
    expect((await soap('makeCall', 'U1')).status).toBe(200);
  });

  test('that refuses for a limited time returns by itself', async () => {
    const answer = await send('/sim/behave', { body: '{"mode":"refuse","forMs":30}' });
    expect(answer.status).toBe(200);
    await eventually(async () => expect(await failure(health())).toBe('answered'));
  });

  test('that hangs reads the request and never answers, until it is closed', async () => {
    await connector.behave({ mode: 'hang' });
    const pending = failure(soap('getAttributes', 'U1', [], { 'x-sim-delivery': 'd' }));
    await eventually(() => expect(connector.deliveries.get('d')?.completed).toBe(1));
    await connector.close();
    expect(await pending).toBe('ECONNRESET');
  });

  test('that is slow answers when the time is over', async () => {
    await connector.behave({ mode: 'slow', ms: 60 });
    const begun = performance.now();
    expect((await soap('getAttributes', 'U1')).status).toBe(200);
    expect(performance.now() - begun).toBeGreaterThan(55);
  });

  test('answers faults and 503 only for the selected requests', async () => {
    await connector.behave({ mode: 'fault', appliesTo: 'soap' });
    expect((await soap('getAttributes', 'U1')).body).toContain('SOAP-ENV:Server');
    expect((await health()).status).toBe('ok');
    await connector.behave({ mode: 'unavailable', appliesTo: 'health' });
    expect((await send('/health', { method: 'GET' })).status).toBe(503);
    expect((await soap('getAttributes', 'U1')).status).toBe(200);
  });

  test('with a probability misbehaves in that share of the requests', async () => {
    await connector.close();
    const draws = [0.1, 0.9, 0.2, 0.8];
    connector = await startConnector({ name: 'a', random: () => draws.shift() ?? 1 });
    await connector.behave({ mode: 'unavailable', probability: 0.5 });
    const statuses: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) statuses.push((await soap('getAttributes', 'U1')).status);
    expect(statuses).toEqual([503, 200, 503, 200]);
  });
});
