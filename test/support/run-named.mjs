// `npm run bench NAME` and `npm run trial NAME`: builds what the program needs, and runs it with the remaining arguments.
// Plain JavaScript, since nothing is compiled yet.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

const TOOLS = 'tsc -p tsconfig.bench.json';
const BUILD = 'tsc -p tsconfig.json && node esbuild.config.mjs';
const REDIS = 'node build/test/support/ensure-redis.js';
const PROGRAMS = 'node build/test/support/ensure-tools.js';
const PROXIES = 'node build/test/support/ensure-proxies.js';
const BROWSER = 'node build/test/support/ensure-browser.js';

const all = [BUILD, TOOLS, REDIS];

/** What there is to run: what it shows, what has to be built for it, and the command. */
const RUNS = {
  bench: {
    proxies: [
      'what a request, a handshake, 50 MB and a start cost, beside other proxies',
      [BUILD, TOOLS, REDIS, PROXIES],
      'node build/test/bench/proxies.js',
    ],
    workers: [
      'what several workers cost and carry, beside one process',
      [BUILD, TOOLS],
      'node build/test/bench/workers.js',
    ],
    'added-cost': [
      'what rules for log-on and log-off, or recording, cost a known request',
      [TOOLS],
      'node build/test/bench/added-cost.js',
    ],
    memory: [
      'whether the memory of a gateway stays flat under load',
      [BUILD, TOOLS],
      'node build/test/bench/memory.js',
    ],
    snapshot: [
      'what the snapshot of many bindings costs, on the disk, each second, and to restore',
      [TOOLS, REDIS],
      'node build/test/bench/snapshot.js',
    ],
    warming: [
      'for how long a process stands still while it reads or lists many bindings, and the memory of each',
      [TOOLS, REDIS],
      'node build/test/bench/warming.js',
    ],
    view: ['what the agreement costs at the store', [BUILD, TOOLS], 'node build/test/bench/view.js'],
    claims: [
      'first requests of an agent that come at once through two gateways',
      [TOOLS],
      'node build/test/bench/claims.js',
    ],
    bindings: [
      'bytes of a binding, and the speed of claims, up to a million bindings',
      [TOOLS],
      'node --expose-gc build/test/bench/bindings.js',
    ],
  },
  trial: {
    chaos: [
      'gateways, Redis and connectors under faults of processes and network',
      all,
      'node build/test/chaos/chaos.js',
    ],
    'admin-flood': [
      'a flood of every route of the admin port, beside the response times of known agents',
      all,
      'node build/test/admin-flood/run.js',
    ],
    alerts: [
      'the alerts of deploy/prometheus in a real Prometheus, at the first event of their kind',
      [...all, PROGRAMS],
      'node build/test/alerts/run.js',
    ],
    'console-cost': [
      'what an open console costs its gateway, and how long a search takes, with 10,000 agents',
      [...all, BROWSER],
      'node build/test/console-cost/run.js',
    ],
    attacks: [
      'slow, idle and guessing clients and a flood of names, beside the response times of 50 agents',
      all,
      'node build/test/attacks/run.js',
    ],
    drills: ['the procedures of the runbook, under load', all, 'node build/test/drills/run.js'],
    releases: [
      'an upgrade from the last release and back, under load',
      all,
      'node build/test/releases/run.js',
    ],
    pauses: ['pauses of Redis, of any length', all, 'node build/test/pauses/pauses.js'],
    groups: [
      'teams that share an instance, through three gateways, while instances are lost, added and drained',
      all,
      'node build/test/groups/run.js',
    ],
    shift: [
      'the end of a shift while an instance drains: when the drain ends, and which bindings are left',
      all,
      'node build/test/shift/run.js',
    ],
    soak: [
      'random faults for an hour, one or two at a time, under the load of 2,000 agents; ends with a page',
      all,
      'node build/test/soak/run.js',
    ],
    pairs: [
      'one agent stays at one instance, with 10,000 agents',
      all,
      'ICI_TEST_AGENTS=10000 vitest run --project e2e test/e2e/one-agent-one-instance.test.ts',
    ],
    simulation: [
      'seeded schedules of faults, against the pure core',
      [TOOLS],
      'node build/test/simulation/run.js',
    ],
    dialogues: [
      'dialogues of agents whose names stand in bodies',
      [TOOLS],
      'node build/test/dialogues/run.js',
    ],
    fuzz: [
      'mutated messages for all ports of a gateway, for five minutes',
      [TOOLS],
      'node build/test/fuzz/run.js',
    ],
  },
};

const [kind, name, ...options] = process.argv.slice(2);
const run = Object.hasOwn(RUNS[kind], name ?? '') ? RUNS[kind][name] : undefined;
if (run === undefined) {
  const lines = Object.entries(RUNS[kind]).map(([each, [shows]]) => `  ${each.padEnd(13)}${shows}\n`);
  process.stderr.write(`Usage: npm run ${kind} NAME [-- OPTIONS]\n\n${lines.join('')}`);
  process.exit(2);
}
const [, builds, command] = run;
// Builds tell only what goes wrong: what the program prints may be read by another one.
const steps = [...builds.map((build) => `{ ${build}; } >&2`), `${command} "$@"`];
const child = spawn('sh', ['-c', steps.join(' && '), 'sh', ...options], { stdio: 'inherit' });
// Ctrl-C reaches the child too, which says when it has ended.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => {
  // As a shell tells it: a signal to this process would only meet the handlers above.
  process.exitCode = signal === null ? code : 128 + constants.signals[signal];
});
