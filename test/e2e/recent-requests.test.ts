import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RecentRequestsStatus } from '../../src/core/recent-requests.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { childrenOf } from '../support/host-processes.ts';
import { post, users } from '../support/load.ts';

let connector: SimulatedConnector;
let gateway: GatewayProcess;
let stopped: number | undefined;

beforeAll(async () => {
  connector = await startConnector({ name: 'a' });
  gateway = await startGatewayProcess({
    workers: 2,
    pools: [
      {
        name: 'ici',
        mode: 'sticky',
        health: { path: '/health' },
        instances: [{ id: 'a', url: connector.url }],
      },
    ],
    // The watchdog must not kill the process that the test stops.
    lifecycle: { watchdogTimeout: '0s' },
  });
});
afterAll(async () => {
  if (stopped !== undefined) process.kill(stopped, 'SIGCONT');
  await gateway.close();
  await connector.close();
});

async function requests(query: Record<string, string> = {}): Promise<RecentRequestsStatus> {
  const search = new URLSearchParams({ limit: '1000', ...query });
  return (await (await fetch(`${gateway.adminUrl}/requests?${search}`)).json()) as RecentRequestsStatus;
}

const usersOf = ({ requests: listed }: RecentRequestsStatus) => listed.map(({ user }) => user).sort();

test('a follower sees the requests of both workers once; a stopped worker delays no answer for long', {
  tags: 'long',
}, async () => {
  const agents = users(40, 'AGENT');
  await Promise.all(agents.map((user) => post(gateway.url, user)));
  const first = await eventually(async () => {
    const answer = await requests();
    expect(usersOf(answer)).toEqual([...agents].sort());
    return answer;
  });
  expect(first.last.split('~')).toHaveLength(2);
  expect(first.requests.map(({ at }) => at)).toEqual(
    first.requests
      .map(({ at }) => at)
      .sort()
      .reverse(),
  );

  const { workers } = childrenOf(gateway.pid);
  const [[id, pid] = []] = workers;
  process.kill(pid as number, 'SIGSTOP');
  stopped = pid;
  const before = performance.now();
  const meanwhile = await requests({ after: first.last });
  expect(meanwhile).toMatchObject({ requests: [], silent: [id], hasEnded: false, missed: 0 });
  // Half a second, on a machine that others use too.
  expect(performance.now() - before).toBeLessThan(5_000);
  process.kill(pid as number, 'SIGCONT');
  stopped = undefined;

  const late = users(40, 'LATE');
  await Promise.all(late.map((user) => post(gateway.url, user)));
  const seen: string[] = [];
  let { last } = meanwhile;
  await eventually(async () => {
    const next = await requests({ after: last });
    expect(next.hasEnded).toBe(false);
    ({ last } = next);
    seen.push(...(usersOf(next) as string[]));
    expect([...seen].sort()).toEqual([...late].sort());
  });

  process.kill(pid as number, 'SIGKILL');
  const ended = await eventually(async () => {
    const next = await requests({ after: last });
    expect(next.silent).toEqual([]);
    expect(next.hasEnded).toBe(true);
    return next;
  });
  expect(ended.requests).toEqual([]);
  // Told once.
  expect((await requests({ after: ended.last })).hasEnded).toBe(false);
});
