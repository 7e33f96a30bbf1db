/**
 * A gateway of which one part is switched off and on again all the time. Neighbouring slots of one process compare far more
 * exactly than two processes, of which one is always faster, or than the same process some seconds later.
 *
 *   node switched-gateway.js <rules|recording|log> <url of the upstream>
 *
 * It has one sticky pool and logs its requests to standard output. Prints its URL, then that of its control: `GET /take` answers with
 * the {@link Slot}s since the last call.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.ts';
import { AccessLog, RequestRing } from '../../src/proxy/access-log.ts';
import { AgentOperations } from '../../src/proxy/agent-operations.ts';
import { openProcessLog } from '../../src/telemetry/logger.ts';
import { SecondCounts } from '../../src/telemetry/second-counts.ts';
import { startGateway } from '../../src/wiring/gateway.ts';
import { eventually } from '../support/eventually.ts';

/** What requests took while the part was on, or off. */
export interface Slot {
  readonly isOn: boolean;
  readonly requests: number;
  /** Processor time of the process. */
  readonly micros: number;
}

// Long enough that few of its requests belong to the next slot too.
const SLOT_MS = 200;
const READY_MS = 15_000;
const RULES = `identity:
  logon: [{ operation: logon }]
  logoff: [{ operation: setCurrentWorkmode, element: workmode, value: '1' }]
`;

const [part = '', upstream = ''] = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-switched-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
process.once('SIGTERM', () => process.exit(0));

let isOn = true;
let slot = 0;
let requests = 0;
let slots: Slot[] = [];

const { logger } = openProcessLog('info');
const SWITCHES: Readonly<Record<string, () => () => void>> = {
  rules: switchOfRules,
  recording: switchOfRecording,
  log: () => () => {
    logger.level = isOn ? 'info' : 'warn';
  },
};
const switchPart = SWITCHES[part]?.() ?? (() => {});
countRequests();
const url = await start();
// Now the part has been used once.
await eventually(() => answers(url), { within: READY_MS });
const control = createServer((_request, response) => {
  response.end(JSON.stringify(slots));
  slots = [];
});
control.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${url}\nhttp://127.0.0.1:${(control.address() as AddressInfo).port}\n`);
});
let last = process.cpuUsage();
setInterval(() => {
  const used = process.cpuUsage(last);
  slots.push({ isOn, requests, micros: used.user + used.system });
  requests = 0;
  slot += 1;
  // In both directions, so that none always follows the other.
  isOn = slot % 4 === 0 || slot % 4 === 3;
  switchPart();
  last = process.cpuUsage();
}, SLOT_MS);

async function start(): Promise<string> {
  const text = `${part === 'rules' ? RULES : ''}listen: { address: '127.0.0.1:0' }
admin: { address: '127.0.0.1:0' }
pools: [{ name: ici, mode: sticky, instances: [{ id: a, url: '${upstream}' }] }]
`;
  const { config } = loadConfig({ text, env: { XDG_STATE_HOME: directory, HOME: directory } });
  const gateway = await startGateway(config, logger);
  await gateway.running;
  return gateway.url;
}

async function answers(at: string): Promise<void> {
  const { status } = await fetch(at, { signal: AbortSignal.timeout(1_000) });
  if (status !== 200) throw new Error(`${at} answered ${status}`);
}

function countRequests(): void {
  const { ended } = AccessLog.prototype;
  AccessLog.prototype.ended = function (...args) {
    requests += 1;
    ended.apply(this, args);
  };
}

/** What is recorded of a request is put together in any case. */
function switchOfRecording(): () => void {
  const { add } = RequestRing.prototype;
  const { ended, attempted } = SecondCounts.prototype;
  RequestRing.prototype.add = function (...args) {
    if (isOn) add.apply(this, args);
  };
  SecondCounts.prototype.ended = function (...args) {
    if (isOn) ended.apply(this, args);
  };
  SecondCounts.prototype.attempted = function (...args) {
    if (isOn) attempted.apply(this, args);
  };
  return () => {};
}

/** Without rules, a pool's operations are the same object, which says that it has none. */
function switchOfRules(): () => void {
  const found = new Set<{ haveLogon: boolean; haveLogoff: boolean }>();
  const { mayBeEither } = AgentOperations.prototype;
  AgentOperations.prototype.mayBeEither = function (...args) {
    found.add(this);
    return mayBeEither.apply(this, args);
  };
  return () => {
    for (const operations of found) {
      operations.haveLogon = isOn;
      operations.haveLogoff = isOn;
    }
  };
}
