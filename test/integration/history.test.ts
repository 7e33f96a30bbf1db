import { expect, onTestFinished, test } from 'vitest';
import { startConnector } from '../../src/simulator/connector.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const TERMINAL = { hasColors: false };

test('operators see what happened lately: the epochs of a pool, and its history', async () => {
  const a = await startConnector({ name: 'a' });
  const b = await startConnector({ name: 'b' });
  onTestFinished(() => b.close());
  const instances = [a, b].map(({ url }, i) => `{ id: ${'ab'[i]}, url: '${url}' }`).join(', ');
  const gateway = await startTestGateway(
    `pools: [{ name: ici, mode: sticky, health: { path: /health, interval: 100ms, fastInterval: 50ms, fall: 2 }, instances: [${instances}] }]`,
  );
  onTestFinished(() => gateway.close());
  const ask = async (args: readonly string[], json = true) => {
    const all = ['admin', ...args, '--admin', gateway.adminUrl, ...(json ? ['--json'] : [])];
    const { code, out, err } = await runCommand(all, {}, TERMINAL);
    expect([code, err]).toEqual([0, '']);
    return json ? JSON.parse(out) : out;
  };
  for (const user of ['MILLER', 'SMITH', 'JONES', 'BROWN'])
    expect((await post(gateway.url, user)).status).toBe(200);
  const boundTo = (id: string) =>
    gateway.status().pools[0]?.instances.find((instance) => instance.id === id)?.boundAgents ?? 0;
  await eventually(() => expect(boundTo('a') + boundTo('b')).toBe(4));
  const moved = boundTo('a');
  await a.close();

  const lost = await eventually(async () => {
    const { epochs } = await ask(['epochs', 'ici']);
    expect(epochs[0]).toMatchObject({ cause: 'probes-failed', agents: moved });
    return epochs[0];
  });
  expect(lost.seconds).toBeGreaterThan(0.04);
  expect(lost.changes[0]).toMatchObject({ kind: 'down', instance: 'a', basis: { agents: moved } });
  expect(Object.values(lost.changes[0].basis.reports)).toEqual(['down']);
  expect(lost.epoch).toBe(gateway.status().pools[0]?.epoch);
  const lines = (await ask(['epochs', 'ici'], false)).trimEnd().split('\n');
  expect(lines[1]).toMatch(/ probes-failed +a down.* \d\.\ds +\d+ +\S+ down /);
  expect(lines.at(-1)).toMatch(/ 1 +configuration +configured /);

  const { answers } = await eventually(async () => {
    const history = await ask(['history', 'ici', '--last', '1m', '--step', 'second']);
    expect(history.knownSeconds).toContain(1);
    return history;
  });
  expect(answers['2xx'].some((requests: number | null) => requests !== null)).toBe(true);
  expect(await ask(['history', 'ici'], false)).toMatch(
    /^TIME .* PER SECOND .* 5XX +P50 MS .*AGENTS +ERRORS\n.*\d/,
  );
});
