// `npm run dev`: two simulated connectors, and a gateway before them that is built and started again after every change
// in src. Options of `ici-gateway start` may follow `--`. Ctrl-C ends everything.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { context } from 'esbuild';
import { BUNDLE, CONSOLE } from '../../esbuild.config.mjs';

const OUT = 'build/dev';
const MAIN = `${OUT}/main.js`;
const CONNECTORS = { a: 9001, b: 9002 };
const START = [
  ...['start', '--mode', 'sticky', '--health-path', '/health', '--workers', '0'],
  ...['--listen', '127.0.0.1:8080', '--admin', '127.0.0.1:9090', '--state-dir', `${OUT}-state`],
  ...Object.entries(CONNECTORS).flatMap(([id, port]) => ['--instance', `${id}=http://127.0.0.1:${port}`]),
  ...process.argv.slice(2),
];
const STOP_MS = 2_000;

const connectors = [];
let gateway;
let isEnding = false;

const say = (text) => process.stderr.write(`dev: ${text}\n`);
const isRunning = (child) => child !== undefined && child.exitCode === null && child.signalCode === null;

/** Connectors stay when the gateway is built again. They end by themselves when this process does. */
function startConnectors() {
  for (const [name, port] of Object.entries(CONNECTORS)) {
    const child = fork(MAIN, ['simulate', 'connector', '--name', name, '--port', String(port)]);
    child.on('exit', () => isEnding || say(`connector ${name} has ended`));
    connectors.push(child);
  }
}

function startGateway() {
  const child = spawn(process.execPath, ['--enable-source-maps', MAIN, ...START], { stdio: 'inherit' });
  child.on(
    'exit',
    () => isEnding || gateway !== child || say('the gateway has ended; the next change starts it again'),
  );
  gateway = child;
  say(
    "curl -s -D - -o /dev/null -H 'soapuser: MILLER' http://127.0.0.1:8080/ici; console: http://127.0.0.1:9090/",
  );
}

/** A gateway stops softly at the first signal, and at once at the second. */
async function stopGateway() {
  const stopping = gateway;
  gateway = undefined;
  if (!isRunning(stopping)) return;
  const exit = once(stopping, 'exit');
  stopping.kill('SIGINT');
  const impatience = setTimeout(() => stopping.kill('SIGINT'), STOP_MS);
  await exit;
  clearTimeout(impatience);
}

async function restart() {
  if (isEnding) return;
  await stopGateway();
  if (isEnding) return;
  if (connectors.length === 0) startConnectors();
  startGateway();
}

let restarts = Promise.resolve();
const restarting = {
  name: 'restart',
  setup: (build) =>
    build.onEnd(({ errors }) => {
      if (errors.length > 0) say('the build failed; the last one that worked goes on');
      else restarts = restarts.then(restart);
    }),
};

// The gateway reads the console when it starts.
const restartingIfRunning = {
  name: 'restart for the console',
  setup: (build) =>
    build.onEnd(({ errors }) => {
      if (errors.length === 0 && isRunning(gateway)) restarts = restarts.then(restart);
    }),
};

const bundle = await context({ ...BUNDLE, outdir: OUT, plugins: [...BUNDLE.plugins, restarting] });
const web = await context({ ...CONSOLE, plugins: [...CONSOLE.plugins, restartingIfRunning] });
mkdirSync(CONSOLE.outdir, { recursive: true });
await web.rebuild();
await web.watch();
await bundle.watch();

async function end() {
  if (isEnding) return;
  isEnding = true;
  await Promise.all([bundle.dispose(), web.dispose(), stopGateway()]);
  for (const connector of connectors) connector.kill('SIGKILL');
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end());
