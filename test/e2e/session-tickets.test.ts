import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { childrenOf } from '../support/host-processes.ts';
import { CERTIFICATE, KEY } from '../unit/config/tls-fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-tickets-'));
const file = (name: string, content: string): string => {
  writeFileSync(join(directory, name), content, { mode: 0o600 });
  return join(directory, name);
};
const tls = {
  certFile: file('cert.pem', CERTIFICATE),
  keyFile: file('key.pem', KEY),
  ticketKeyFile: file('tickets', 'c0ffee'.repeat(10)),
};
const gateways: GatewayProcess[] = [];
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()));
  rmSync(directory, { recursive: true });
});

async function start(workers: number): Promise<GatewayProcess> {
  const gateway = await startGatewayProcess({
    workers,
    listen: { address: '127.0.0.1:0', tls },
    // Nothing is sent there.
    pools: [{ name: 'ici', health: { path: '/' }, instances: [{ id: 'a', url: 'http://127.0.0.1:9' }] }],
    affinity: { store: 'embedded', stateDir: mkdtempSync(join(directory, 'state-')) },
  });
  gateways.push(gateway);
  return gateway;
}

/** The session of a new connection, and whether it was resumed. */
async function connectTo({ url }: GatewayProcess, session?: Buffer): Promise<[Buffer, boolean]> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false, session });
  const given = once(socket, 'session');
  // A resumed session brings none.
  given.catch(() => {});
  await once(socket, 'secureConnect');
  const isResumed = socket.isSessionReused();
  const next = isResumed ? (session as Buffer) : ((await given)[0] as Buffer);
  socket.destroy();
  return [next, isResumed];
}

test('a TLS session is resumed by every worker, their successors and other gateways with the same secret', {
  tags: 'long',
}, async () => {
  const [first, second] = await Promise.all([start(2), start(0)]);
  const [session] = await connectTo(first);
  const resumed = async (gateway: GatewayProcess): Promise<number> => {
    const all = await Promise.all(Array.from({ length: 20 }, () => connectTo(gateway, session)));
    return all.filter(([, isResumed]) => isResumed).length;
  };
  expect(await resumed(first)).toBe(20);
  expect(await resumed(second)).toBe(20);

  const before = [...childrenOf(first.pid).workers.values()];
  first.signal('SIGHUP');
  await eventually(() => {
    const workers = [...childrenOf(first.pid).workers.values()];
    expect(workers).toHaveLength(2);
    expect(workers.filter((pid) => before.includes(pid))).toEqual([]);
  });
  expect(await resumed(first)).toBe(20);
});
