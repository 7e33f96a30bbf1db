/**
 * The load generator if `wrk` is not installed: a closed loop of as many
 * simultaneous requests as the plan says, in a separate process. Prints one line
 * of JSON, a `LoadResult`.
 */
import { Agent, request } from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { Histogram } from '../../src/simulator/histogram.ts';
import type { LoadPlan } from './load.ts';
import { numbered, PATH, requestParts } from './load.ts';

const plan = JSON.parse(process.argv[2] ?? '') as LoadPlan;
const { headers, body } = requestParts(plan);
const isTls = plan.url.startsWith('https:');
const sockets = { keepAlive: plan.connections === 'kept', maxSockets: plan.concurrency };
const agent = isTls ? new TlsAgent({ ...sockets, rejectUnauthorized: false }) : new Agent(sockets);
const open = isTls ? requestTls : request;
const begunAt = performance.now();
const until = begunAt + plan.seconds * 1_000;
const durations = new Histogram();
let errors = 0;
let sent = 0;

function once(): Promise<void> {
  sent += 1;
  const number = 1 + (sent % plan.agents);
  const payload = Buffer.from(numbered(body, number));
  const fields: Record<string, string | number> = { 'Content-Length': payload.length };
  for (const [name, value] of Object.entries(headers)) fields[name] = numbered(value, number);
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const fail = (): void => {
      errors += 1;
      resolve();
    };
    open(`${plan.url}${PATH}`, { method: 'POST', agent, headers: fields }, (response) => {
      response.once('error', fail).resume();
      response.once('end', () => {
        durations.record(performance.now() - startedAt);
        if ((response.statusCode ?? 500) >= 400) errors += 1;
        resolve();
      });
    })
      .once('error', fail)
      .end(payload);
  });
}

async function loop(): Promise<void> {
  while (performance.now() < until) await once();
}

await Promise.all(Array.from({ length: plan.concurrency }, loop));
const seconds = (performance.now() - begunAt) / 1_000;
const { count } = durations.summary();
const result = {
  requests: count,
  seconds,
  p50Ms: durations.quantile(0.5),
  p99Ms: durations.quantile(0.99),
  errors,
};
agent.destroy();
process.stdout.write(`${JSON.stringify(result)}\n`);
