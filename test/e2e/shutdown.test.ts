import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAlive } from '../../src/core/process-alive.ts';
import { MAIN } from '../../src/package.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatedInstance } from '../support/gated-instance.ts';
import { startGatedInstance } from '../support/gated-instance.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { subscribeEnvelope } from '../support/soap.ts';

let gateway: GatewayProcess;
let agent: Agent;

interface Answer {
  readonly status: number;
  readonly connection: string | undefined;
  readonly body: string;
}

function send(): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${gateway.url}/ici`, {
      method: 'POST',
      agent,
      headers: { 'content-type': 'text/xml', soapuser: 'MILLER' },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, connection: response.headers.connection, body }),
      );
    });
    outgoing.end(subscribeEnvelope({ user: 'MILLER' }));
  });
}

describe('a gateway that gets a stop signal', () => {
  let instance: GatedInstance;

  beforeEach(async () => {
    instance = await startGatedInstance();
    instance.answerProbes();
    gateway = await startGatewayProcess({
      pools: [
        {
          name: 'ici',
          mode: 'sticky',
          health: { path: '/health' },
          instances: [{ id: 'a', url: instance.url }],
        },
      ],
    });
    agent = new Agent({ keepAlive: true, maxSockets: 1 });
  });

  afterEach(async () => {
    agent.destroy();
    await gateway.close();
    await instance.close();
  });

  test('answers pending requests, closes kept-alive connections after the last answer, and ends without delay', async () => {
    instance.answerRequests();
    expect(await send()).toMatchObject({ status: 200, connection: 'keep-alive' });
    instance.holdRequests();
    const underWay = send();
    await eventually(() => expect(instance.waiting.requests).toBe(1));
    gateway.signal('SIGTERM');
    await eventually(() => expect(gateway.log.some(({ msg }) => msg === 'stopping')).toBe(true));

    instance.answerRequests();
    expect(await underWay).toMatchObject({ status: 200, connection: 'close' });
    // Far less than the 75 s after which an idle connection closes.
    await eventually(() => expect(isAlive(gateway.pid)).toBe(false), { within: 30_000 });
  });
});

test('a stop that takes too long logs the requests that it cuts off, and ends in time', async () => {
  const instance = await startGatedInstance();
  instance.answerProbes();
  const gateway = await startGatewayProcess({
    workers: 1,
    pools: [
      {
        name: 'ici',
        mode: 'sticky',
        health: { path: '/health' },
        instances: [{ id: 'a', url: instance.url }],
      },
    ],
    lifecycle: { shutdownTimeout: '6s' },
  });
  try {
    const answer = fetch(`${gateway.url}/ici`, {
      method: 'POST',
      headers: { 'content-type': 'text/xml', soapuser: 'MILLER' },
      body: subscribeEnvelope({ user: 'MILLER' }),
    });
    const outcome = answer.then(
      () => 'answered',
      () => 'cut off',
    );
    await eventually(() => expect(instance.waiting.requests).toBe(1));
    const since = performance.now();
    await gateway.stop();
    // Some time for the controller, and for the processes to end.
    expect(performance.now() - since).toBeLessThan(6_000 + 10_000);
    expect(await outcome).toBe('cut off');
    await eventually(() => {
      const cut = { msg: expect.stringContaining('cut off'), level: 40, requests: 1 };
      expect(gateway.log).toContainEqual(expect.objectContaining(cut));
      const line = { msg: 'request', instance: 'a', outcomeUnknown: true };
      expect(gateway.log).toContainEqual(expect.objectContaining(line));
    });
  } finally {
    await gateway.close();
    await instance.close();
  }
});

describe('a gateway whose log has no reader', () => {
  let connector: SimulatedConnector;

  beforeEach(async () => {
    connector = await startConnector({ name: 'a' });
  });

  afterEach(() => connector.close());

  test('serves, and ends on a signal', { tags: 'long' }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-test-'));
    // Standard output is a pipe without a reader.
    const child = spawn(
      process.execPath,
      [
        MAIN,
        'start',
        '--listen',
        '127.0.0.1:0',
        '--admin',
        '127.0.0.1:0',
        '--mode',
        'sticky',
        '--instance',
      ].concat([`a=${connector.url}`, '--health-path', '/health', '--state-dir', directory]),
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    try {
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      const url = await eventually(
        () => {
          const found = /listens on (\S+),/.exec(said)?.[1];
          if (found === undefined) throw new Error(`it says ${said}`);
          return found;
        },
        { within: 45_000 },
      );
      // Far more lines than a pipe can hold.
      const path = `/${'x'.repeat(4_000)}`;
      for (let round = 0; round < 20; round += 1) {
        const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}${path}`)));
        for (const answer of answers) {
          expect(answer.status).toBeLessThan(600);
          await answer.arrayBuffer();
        }
      }
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    } finally {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    }
  });

  // Like a process manager that forks: a live process counts as started.
  test.each(['0', '1'])(
    'ends if it cannot start, although its parent is alive (%s workers)',
    async (workers) => {
      const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-taken-'));
      const taken = [
        '--listen',
        new URL(connector.url).host,
        '--admin',
        '127.0.0.1:0',
        '--state-dir',
        directory,
      ];
      const args = ['start', ...taken, '--workers', workers, '--instance', 'a=http://127.0.0.1:9'];
      const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
      try {
        let said = '';
        child.stderr?.setEncoding('utf8').on('data', (text: string) => {
          said += text;
        });
        const [code] = await once(child, 'close', { signal: AbortSignal.timeout(45_000) });
        expect(said).toContain('is in use');
        expect(code).toBe(1);
      } finally {
        child.kill('SIGKILL');
        rmSync(directory, { recursive: true, force: true });
      }
    },
  );

  test('ends if its parent has ended before it was ready', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-orphan-'));
    const free = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--state-dir', directory];
    // No process listens there.
    const args = ['start', ...free, '--instance', 'a=http://127.0.0.1:9'];
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    try {
      child.disconnect();
      expect(await ended).toBe(0);
    } finally {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
