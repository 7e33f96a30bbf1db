import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { bearer, GuardedGateway } from './admin-access-support.ts';

let on: GuardedGateway | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await on?.close();
});

test.each([
  ['HTTP', () => GuardedGateway.start()],
  ['HTTPS', () => GuardedGateway.startWithTls()],
])(
  'one address holds a limited number of connections (%s), and idle ones give way to new ones',
  async (_, start) => {
    on = await start();
    const guarded = on;
    const { hostname, port } = new URL(guarded.gateway.adminUrl);
    let closed = 0;
    for (let i = 0; i < 130; i += 1) {
      const socket = connect(Number(port), hostname);
      sockets.push(
        socket
          .on('error', () => undefined)
          .on('close', () => {
            closed += 1;
          })
          .resume(),
      );
    }
    await eventually(() => expect(closed).toBe(30));
    for (let i = 0; i < 3; i += 1) expect((await guarded.get('/livez')).status).toBe(200);
    const { entries } = (await guarded.get('/security-log', bearer('admin'))).body;
    expect(entries.filter(({ outcome }: { outcome: string }) => outcome === 'closed')).toHaveLength(1);
  },
);
