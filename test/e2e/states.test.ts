import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { expect, test } from 'vitest';
import { isAlive } from '../../src/core/process-alive.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import type { GatedInstance } from '../support/gated-instance.ts';
import { startGatedInstance } from '../support/gated-instance.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import type { LifeRecord } from '../support/life-record.ts';
import { callSapControl, colourOf, portsOfItsOwn, recordLife } from '../support/life-record.ts';
import { post, startOpenLoad } from '../support/load.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import { childrenOf } from '../support/processes.ts';
import { waitedSince } from '../support/processor-wait.ts';
import type { Question } from '../support/states-table.ts';
import { QUESTIONS, statesOfDocs } from '../support/states-table.ts';
import type { LogLine } from '../support/test-gateway.ts';

const STATES = statesOfDocs();

// On a busy machine a process takes several times as long to start.
const PATIENT = { within: 90_000 };
const MAX_INIT_MS = 4_000;
const STATUS_POLL_MS = 1_500;
// The greatest delay with which the test notices a change.
const LATE_MS = 2_000;
// Timers and the time of day are two clocks, both in whole milliseconds.
const CLOCK_GRAIN_MS = 5;

interface Stage {
  readonly gateway: GatewayProcess;
  readonly url: string;
  /** Makes a change as an operator. */
  readonly act: (path: string, body: Record<string, unknown>) => Promise<unknown>;
  readonly socketPath: string;
  /** The only instance of its pool `/slow`; the pool `/quick` has a fast one. */
  readonly slow: GatedInstance;
  readonly life: LifeRecord;
  /** Waits until all answers match operations.md for this state. */
  until(state: string): Promise<void>;
}

/** A gateway with two workers, observed from before its start. */
async function start(
  lifecycle: Record<string, string>,
  onTestFinished: TestContext['onTestFinished'],
): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'ici-states-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const token = writeTokenFile();
  onTestFinished(() => token.remove());
  const quick = await startConnector({ name: 'quick' });
  onTestFinished(() => quick.close());
  const slow = await startGatedInstance();
  onTestFinished(() => slow.close());
  const ports = await portsOfItsOwn();
  const life = recordLife(ports);
  onTestFinished(() => life.stop());
  const until = (state: string): Promise<void> =>
    eventually(() => expect(life.now()).toEqual(answersIn(state)), PATIENT);
  const poolOf = (name: string, url: string) => ({
    name,
    mode: 'failover',
    match: { paths: [`/${name}`] },
    health: { path: '/health', timeout: '1m', settleTimeout: '10m' },
    instances: [{ id: name, url }],
  });

  await until('Stopped');
  const socketPath = join(folder, '.sapstream50013');
  const gateway = await startGatewayProcess(
    {
      workers: 2,
      listen: { address: `${ports.host}:${ports.data}` },
      admin: { address: `${ports.host}:${ports.admin}`, tokenFile: token.path },
      sapcontrol: { address: `${ports.host}:${ports.sapcontrol}`, socket: socketPath },
      lifecycle,
      pools: [poolOf('quick', quick.url), poolOf('slow', slow.url)],
    },
    { whileStarting: true },
  );
  onTestFinished(() => gateway.close());
  const url = `http://${ports.host}:${ports.data}`;
  const act = (path: string, body: Record<string, unknown>): Promise<unknown> =>
    ask(`http://${ports.host}:${ports.admin}`, 'POST', path, { why: 'test', ...body });
  return { gateway, url, act, socketPath, slow, life, until };
}

/** An ended gateway answers no requests, so no monitor sees its colour. */
function answersIn(state: string): Record<Question, string> {
  const row = STATES.get(state);
  if (row === undefined) throw new Error(`operations.md has no state ${state}`);
  return state === 'Stopped' ? { ...row.answers, sapcontrol: 'refused' } : row.answers;
}

/** The answers in operations.md to each request over these states, one entry for each change. */
function lifeOfDocs(states: readonly string[]): Record<Question, string[]> {
  return byQuestion((question) => withoutRepeats(states.map((state) => answersIn(state)[question])));
}

function recorded(life: LifeRecord): Record<Question, string[]> {
  return byQuestion((question) =>
    withoutRepeats(
      life
        .changes(question)
        .map(({ answer }) => answer)
        // Only a client that asks at the right moment sees this: the last one to be accepted.
        .filter((answer) => question !== 'page' || answer !== answersIn('Draining')['admin page']),
    ),
  );
}

const byQuestion = (of: (question: Question) => string[]): Record<Question, string[]> =>
  Object.fromEntries(QUESTIONS.map((question) => [question, of(question)])) as Record<Question, string[]>;

const withoutRepeats = (answers: readonly string[]): string[] =>
  answers.filter((answer, at) => answer !== answers[at - 1]);

const logged = ({ log }: GatewayProcess, text: string): LogLine | undefined =>
  log.find(({ msg }) => msg === text);

test.concurrent('balancers and monitors get the answers of operations.md over a whole life cycle', async ({
  onTestFinished,
}) => {
  const { gateway, url, slow, life, until, act } = await start(
    { maxInitTime: '10m', statusPollInterval: `${STATUS_POLL_MS}ms` },
    onTestFinished,
  );
  await until('Starting');
  slow.answerProbes();
  await until('Running');
  await eventually(() => expect(logged(gateway, 'running')?.['why']).toBe('every instance was probed'));
  await act('/maintenance', { on: true });
  await until('Maintenance');
  await act('/maintenance', { on: false });
  await until('Running');

  const pending = post(`${url}/slow`, 'MILLER');
  await eventually(() => expect(slow.waiting.requests).toBe(1));
  const load = startOpenLoad([`${url}/quick`], ['SMITH'], 50);
  onTestFinished(async () => void (await load.stop()));
  const waited = waitedSince([process.pid, gateway.pid, ...childrenOf(gateway.pid).map(({ pid }) => pid)]);
  const askedAt = performance.now();
  await act('/stop', {});
  const begunAt = performance.now();
  await until('Stopping');
  await until('Draining');
  await eventually(() => expect(load.outcomes.some(({ status }) => status === 0)).toBe(true));
  const outcomes = await load.stop();
  // They end with the last request.
  const waitedMs = waited();
  slow.answerRequests();
  expect(await pending).toMatchObject({ status: 200 });
  await until('Stopped');
  await eventually(() => expect(isAlive(gateway.pid)).toBe(false), PATIENT);
  await life.stop();

  const states = [
    'Stopped',
    'Starting',
    'Running',
    'Maintenance',
    'Running',
    'Stopping',
    'Draining',
    'Stopped',
  ];
  expect(recorded(life)).toEqual(lifeOfDocs(states));

  const accepted = outcomes.filter(({ status }) => status !== 0);
  expect(accepted.filter(({ status }) => status !== 200)).toEqual([]);
  expect(accepted.filter(({ startedAt }) => startedAt > begunAt).length).toBeGreaterThan(3);
  expect(Math.max(...accepted.map(({ startedAt }) => startedAt)) - begunAt).toBeLessThan(
    STATUS_POLL_MS + LATE_MS + waitedMs,
  );
  const refusedAt = outcomes
    .filter(({ status }) => status === 0)
    .map((one) => one.startedAt + one.durationMs);
  expect(Math.min(...refusedAt) - askedAt).toBeGreaterThanOrEqual(STATUS_POLL_MS);
});

test.concurrent('a gateway whose instances are not probed in maxInitTime is Running then, and stops by its Unix socket', async ({
  onTestFinished,
}) => {
  const { gateway, slow, life, socketPath, until } = await start(
    { maxInitTime: `${MAX_INIT_MS}ms` },
    onTestFinished,
  );
  await until('Running');
  expect(slow.waiting.probes).toBe(1);
  // The log shows its addresses.
  const { startedAt } = await eventually(() => gateway.status());
  const over = Date.parse(startedAt) + MAX_INIT_MS;
  for (const question of QUESTIONS) {
    const [, first, running = first] = life.changes(question);
    // A busy machine may need more time to start the processes or to answer.
    const listened = first?.askedAt ?? 0;
    if ((first?.answeredAt ?? 0) < over)
      expect(first?.answer, question).toBe(answersIn('Starting')[question]);
    expect(running?.answer, question).toBe(answersIn('Running')[question]);
    expect(running?.answeredAt, question).toBeGreaterThan(over - CLOCK_GRAIN_MS);
    expect(running?.askedAt, question).toBeLessThan(Math.max(over, listened) + LATE_MS);
  }
  await eventually(() => expect(logged(gateway, 'running')?.['why']).toBe('lifecycle.maxInitTime is over'));
  const timeOf = (text: string): number => Number(logged(gateway, text)?.['time']);
  expect(timeOf('running')).toBeGreaterThan(over - CLOCK_GRAIN_MS);
  // A busy machine may need more time to start the processes.
  expect(timeOf('running')).toBeLessThan(Math.max(over, timeOf('listening')) + LATE_MS);

  // A cluster on the same host needs no password there.
  const processes = await callSapControl('GetProcessList', { socketPath });
  expect(colourOf(processes)).toBe(answersIn('Running').sapcontrol);
  expect(processes).toContain(`<pid>${gateway.pid}</pid>`);
  expect(await callSapControl('Shutdown', { socketPath })).toContain('ShutdownResponse');
  await until('Stopped');
  await eventually(() => expect(isAlive(gateway.pid)).toBe(false), PATIENT);
  await eventually(() => expect(gateway.log.filter(({ msg }) => msg === 'stopped')).toHaveLength(1));
  expect(existsSync(socketPath)).toBe(false);
});
