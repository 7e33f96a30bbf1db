import type { Server } from 'node:http';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { AgentsOptions, RunningAgents } from '../../src/simulator/agents.ts';
import { startAgents } from '../../src/simulator/agents.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';

const open: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function connectors(...names: string[]): Promise<SimulatedConnector[]> {
  const started = await Promise.all(names.map((name) => startConnector({ name })));
  open.push(...started.map((connector) => () => connector.close()));
  return started;
}

function agents(options: AgentsOptions): RunningAgents {
  const running = startAgents({ rampMs: 0, ratePerAgent: 50, ...options });
  open.push(() => running.stop());
  return running;
}

/** A naive proxy: the next request goes to the target of `next`. */
async function proxy(
  next: () => SimulatedConnector,
  change: (body: Buffer) => Buffer = (body) => body,
): Promise<{ url: string; server: Server }> {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = change(Buffer.concat(chunks));
      const headers = { ...incoming.headers, 'content-length': String(body.length) };
      const call = request(next().url, { method: 'POST', headers, agent: false }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      call.on('error', () => outgoing.destroy());
      call.end(body);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  open.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/ici`, server };
}

describe('simulated agents', () => {
  test.each([true, false])(
    'log on, work and log off at one connector (SAP Note 1640673: %s)',
    async (withHeaders) => {
      const [a] = await connectors('a');
      const running = agents({ urls: [a?.url ?? ''], agents: 5, withHeaders, mixedCase: true });
      await eventually(() => expect(running.stats().answers).toBeGreaterThan(100));
      expect(running.stats().agentsByConnector).toEqual({ a: 5 });
      expect(a?.sessions().map(({ user }) => user)).toContain('AGENT0005');

      const stats = await running.stop();
      expect(stats).toMatchObject({
        logons: 5,
        relogons: 0,
        logoffs: 5,
        splits: 0,
        corrupted: 0,
        loggedOn: 0,
      });
      expect(stats).toMatchObject({ faults: {}, errors: {}, undecidedMoves: 0 });
      expect(stats.requests).toBe(stats.answers);
      expect(stats.latency.count).toBe(stats.requests);
      expect(a?.sessions()).toEqual([]);
    },
  );

  test('open a new connection for every request', async () => {
    const [a] = await connectors('a');
    const stats = await agents({ urls: [a?.url ?? ''], agents: 2, forMs: 200 }).done;
    expect(a?.connections).toBe(stats.requests);
  });

  test('log on with four simultaneous requests, through all gateways', async () => {
    const [a, b] = await connectors('a', 'b');
    await a?.behave({ mode: 'hang' });
    await b?.behave({ mode: 'hang' });
    const running = agents({ urls: [a?.url ?? '', b?.url ?? ''], agents: 1, requestTimeoutMs: 5_000 });
    await eventually(() => {
      expect(a?.deliveries.report(false).completed).toBe(2);
      expect(b?.deliveries.report(false).completed).toBe(2);
    });
    expect(running.stats().requests).toBe(4);
    await a?.close();
    await b?.close();
  });

  test('see a split through a round-robin proxy', async () => {
    const pool = await connectors('a', 'b', 'c');
    let turn = 0;
    const { url } = await proxy(() => pool[turn++ % pool.length] as SimulatedConnector);
    const running = agents({ urls: [url], agents: 3 });
    const stats = await eventually(() => {
      const snapshot = running.stats();
      expect(snapshot.splits).toBeGreaterThan(0);
      return snapshot;
    });
    expect(stats.splitExamples[0]?.first).not.toEqual(stats.splitExamples[0]?.second);
  });

  test('log on again, and see no split, when their connector restarts', async () => {
    const [a] = await connectors('a');
    const { port, url } = a as SimulatedConnector;
    const running = agents({ urls: [url], agents: 3 });
    await eventually(() => expect(running.stats().loggedOn).toBe(3));
    await a?.close();
    const [reborn] = await Promise.all([startConnector({ name: 'a', port })]);
    open.push(() => reborn.close());
    await eventually(() => expect(running.stats().relogons).toBe(3));
    await eventually(() => expect(running.stats().loggedOn).toBe(3));
    const stats = await running.stop();
    expect(stats.splits).toBe(0);
    expect(stats.faults['unknown session']).toBeGreaterThan(0);
  });

  test('log on again, and see no split, when a proxy moves them away from a crashed connector', async () => {
    const [a, b] = (await connectors('a', 'b')) as [SimulatedConnector, SimulatedConnector];
    let active = a;
    const { url } = await proxy(() => active);
    const running = agents({ urls: [url], agents: 4 });
    await eventually(() => expect(running.stats().agentsByConnector).toEqual({ a: 4 }));
    active = b;
    await a.close();
    await eventually(() => expect(running.stats().agentsByConnector).toEqual({ b: 4 }));
    const stats = await running.stop();
    expect(stats).toMatchObject({ splits: 0, relogons: 4 });
  });

  test('notice a proxy that changes the bytes', async () => {
    const [a] = await connectors('a');
    const { url } = await proxy(
      () => a as SimulatedConnector,
      (body) => Buffer.concat([body, Buffer.from('\n')]),
    );
    const stats = await agents({ urls: [url], agents: 1, forMs: 100 }).done;
    expect(stats.corrupted).toBe(stats.answers);
  });

  test("record a Fault of the gateway under the gateway's code, and errors under the system's", async () => {
    const server = createServer((incoming, outgoing) => {
      incoming.resume();
      outgoing.writeHead(503, { 'content-type': 'text/xml' });
      outgoing.end('<Fault><detail><code>GW_NO_INSTANCE</code></detail></Fault>');
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const faulty = await agents({ urls: [url], agents: 1, forMs: 50 }).done;
    expect(faulty.faults).toEqual({ GW_NO_INSTANCE: faulty.requests });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const refused = await agents({ urls: [url], agents: 1, forMs: 50 }).done;
    expect(refused.errors).toEqual({ ECONNREFUSED: refused.requests });
  });

  test('log off and on again with another session id after a given amount of work', async () => {
    const [a] = await connectors('a');
    const running = agents({ urls: [a?.url ?? ''], agents: 1, workPerLogon: 2 });
    const seen = new Set<string>();
    await eventually(
      () => {
        for (const { sessionId } of a?.sessions() ?? []) seen.add(sessionId);
        expect(seen.size).toBeGreaterThan(2);
      },
      { every: 1 },
    );
    expect([...seen][0]).toMatch(/^SID%3aANON%3acrmapp1_CRP_00%3a[\w-]{22}-NEW$/);
    expect((await running.stop()).relogons).toBe(0);
  });

  test('try again soon after a failed step if told to', async () => {
    const [a] = await connectors('a');
    const running = agents({ urls: [a?.url ?? ''], agents: 1, ratePerAgent: 2, retryMs: 1 });
    await eventually(() => expect(running.stats().loggedOn).toBe(1));
    await a?.behave({ mode: 'fault', appliesTo: 'soap' });
    // At the rate of its work this would take about a minute.
    await eventually(() => expect(running.stats().requests).toBeGreaterThan(120), { within: 30_000 });
  });

  test('stop when the signal is aborted', async () => {
    const [a] = await connectors('a');
    const controller = new AbortController();
    const running = agents({ urls: [a?.url ?? ''], agents: 2, signal: controller.signal });
    await eventually(() => expect(running.stats().loggedOn).toBe(2));
    controller.abort();
    expect((await running.done).logoffs).toBe(2);
  });

  test('send nothing when the signal was aborted before the start', async () => {
    const [a] = await connectors('a');
    const stats = await agents({ urls: [a?.url ?? ''], agents: 2, signal: AbortSignal.abort() }).done;
    expect(stats.requests).toBe(0);
  });

  test('end within their limits when nothing answers', async () => {
    const [a] = await connectors('a');
    await a?.behave({ mode: 'hang' });
    const running = agents({ urls: [a?.url ?? ''], agents: 2, requestTimeoutMs: 200 });
    await eventually(() => expect(running.stats().errors).toEqual({ TIMEOUT: 8 }));
    expect((await running.stop()).answers).toBe(0);
  });

  test('may be joined by more agents, which have other names', async () => {
    const [a] = await connectors('a');
    const running = agents({ urls: [a?.url ?? ''], agents: 2 });
    running.join(3, 0);
    await eventually(() => expect(running.stats().loggedOn).toBe(5));
    const stats = await running.stop();
    expect(stats).toMatchObject({ logons: 5, logoffs: 5, relogons: 0 });
    running.join(1, 0);
    expect(running.stats().requests).toBe(stats.requests);
  });

  test('leave at the end of a shift, by work mode 1, while the others keep working', async () => {
    const [a] = await connectors('a');
    const left: string[] = [];
    const running = agents({
      urls: [a?.url ?? ''],
      agents: 5,
      // Those who leave do not wait for their next work.
      ratePerAgent: 0.001,
      onEvent: (event) => {
        if (event.type === 'logoff' && event.answered) left.push(event.agent);
      },
    });
    await eventually(() => expect(running.stats().loggedOn).toBe(5));
    await running.leave(3, 20);
    expect(
      a
        ?.sessions()
        .map(({ user }) => user)
        .toSorted(),
    ).toEqual(['AGENT0004', 'AGENT0005']);
    expect(left.toSorted()).toEqual(['AGENT0001', 'AGENT0002', 'AGENT0003']);
    // More than are there.
    await running.leave(3, 0);
    expect(a?.sessions()).toEqual([]);
  });

  test('send the same bytes in the same order for the same seed', async () => {
    const transcript = async (seed: number) => {
      const bodies: string[] = [];
      const [a] = await connectors('a');
      const { url } = await proxy(
        () => a as SimulatedConnector,
        (body) => {
          bodies.push(body.toString().replace(/[0-9a-f]{8}-AGENT/g, 'AGENT'));
          return body;
        },
      );
      const running = agents({ urls: [url], agents: 1, seed });
      await eventually(() => expect(bodies.length).toBeGreaterThan(30));
      await running.stop();
      return bodies.slice(5, 25);
    };
    const reference = await transcript(42);
    const unlike = (other: string[]) => other.filter((body) => !reference.includes(body)).length;
    // Simultaneous requests may arrive in either order, so one at each end may differ.
    expect(unlike(await transcript(42))).toBeLessThanOrEqual(2);
    expect(unlike(await transcript(43))).toBeGreaterThan(2);
  });

  test.each([
    [{ urls: [] }, 'at least one'],
    [{ urls: ['http://crm.example.com/'] }, 'give --allow-remote'],
    [{ urls: ['https://127.0.0.1/'] }, 'not an http URL'],
    [{ agents: 5_001 }, 'agents must be from 1 to 5000'],
    [{ forMs: 90_000_000 }, 'forMs must be'],
    [{ ratePerAgent: 0 }, 'ratePerAgent must be'],
  ])('refuse to start with %o', (wrong, reason) => {
    expect(() => startAgents({ urls: ['http://127.0.0.1:1/'], agents: 1, ...wrong })).toThrow(reason);
  });
});
