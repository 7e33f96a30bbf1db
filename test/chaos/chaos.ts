/**
 * What does each fault cost? Three gateways, three instances and Redis under Sentinel, as processes, under the
 * load of simulated agents; one fault at a time, each in a new set-up.
 *
 *   npm run trial chaos -- [--only NAME]... [--mode sticky|failover|both] [--network namespaces|proxy]
 *                    [--duration SECONDS] [--peers] [--profile NAME] [--markdown]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isUsage, Usage } from '../support/usage.ts';
import { networkOf } from './choose-network.ts';
import type { Row } from './experiment.ts';
import { runExperiment } from './experiment.ts';
import type { Network } from './network.ts';
import { markdownTable, plainTable, remarks } from './report.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Mode, Stage, StageOptions } from './stage.ts';
import { MODES, setStage } from './stage.ts';
import { targetsOf } from './targets.ts';

const HELP = `Usage: npm run trial chaos -- [options]

Brings about one fault after the other, prints what each cost, and ends with 1 if a target was missed.

  --only <name>        only this fault; may be given several times
  --mode <mode>        sticky, failover or both (both: two pools over the same instances)
  --network <kind>     namespaces (needs root and iproute2) or proxy; default: what is possible
  --duration <s>       how long each fault lasts at least, in seconds, from 3 to 60 (8)
  --peers              gateways relay requests for each other
  --profile <name>     health.profile: careful (default), balanced or fast
  --markdown           print the table as Markdown
  --help

Faults:
${SCENARIOS.map(({ name, title }) => `  ${name.padEnd(26)} ${title}`).join('\n')}
`;

/** The time for one fault, beside its duration: three times that of an idle machine. */
const ROW_LIMIT_MS = 120_000;

interface Settings {
  readonly scenarios: typeof SCENARIOS;
  readonly modes: readonly Mode[];
  readonly openNetwork: () => Promise<Network>;
  readonly durationMs: number;
  readonly stage: StageOptions;
  readonly markdown: boolean;
}

function settings(): Settings | undefined {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      mode: { type: 'string', default: 'both' },
      network: { type: 'string' },
      duration: { type: 'string', default: '8' },
      peers: { type: 'boolean', default: false },
      profile: { type: 'string', default: 'careful' },
      markdown: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const unknown = values.only?.find((name) => !SCENARIOS.some((scenario) => scenario.name === name));
  if (unknown !== undefined) throw new Usage(`--only: there is no fault ${unknown}; --help lists them`);
  const modes = values.mode === 'both' ? MODES : MODES.filter((mode) => mode === values.mode);
  if (modes.length === 0) throw new Usage('--mode must be sticky, failover or both');
  const seconds = Number(values.duration);
  if (!(seconds >= 3 && seconds <= 60)) throw new Usage('--duration must be from 3 to 60');
  const { open, note } = networkOf(values.network);
  say(`network: ${note}`);
  return {
    scenarios: SCENARIOS.filter(({ name }) => values.only?.includes(name) ?? true),
    modes,
    openNetwork: open,
    durationMs: seconds * 1_000,
    stage: { withPeers: values.peers, profile: values.profile },
    markdown: values.markdown,
  };
}

async function main(): Promise<number> {
  const asked = settings();
  if (asked === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  // All started programs keep their files in here.
  const directory = mkdtempSync(join(tmpdir(), 'ici-chaos-'));
  process.env['TMPDIR'] = directory;
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  let stage: Stage | undefined;
  let opened: Network | undefined;
  const tidy = async (): Promise<void> => {
    await stage?.close();
    await opened?.close();
    stage = undefined;
  };
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => void tidy().finally(() => process.exit(code)));
  }

  const rows: Row[] = [];
  let failed = 0;
  for (const scenario of asked.scenarios) {
    const begunAt = performance.now();
    try {
      stage = await setStage(async () => {
        opened = await asked.openNetwork();
        return opened;
      }, asked.stage);
      const running = runExperiment(stage, scenario, asked.modes, asked.durationMs);
      const own = await within(running, ROW_LIMIT_MS + asked.durationMs);
      rows.push(...own);
      const seconds = ((performance.now() - begunAt) / 1_000).toFixed(0);
      say(`${scenario.name}: ${own.every(isMet) ? 'all targets met' : 'targets MISSED'} (${seconds} s)`);
      for (const line of own.flatMap(remarks)) say(`  ${line}`);
    } catch (error) {
      failed += 1;
      say(
        `${scenario.name}: could not be measured: ${error instanceof Error ? error.message : String(error)}`,
      );
    } finally {
      await tidy();
    }
  }
  if (rows.length > 0) process.stdout.write(`\n${asked.markdown ? markdownTable(rows) : plainTable(rows)}\n`);
  return failed === 0 && rows.every(isMet) ? 0 : 1;
}

function isMet(row: Row): boolean {
  return targetsOf(row).every(({ met }) => met);
}

/** A scenario that has not ended by then goes on until its set-up is stopped, and its result does not count. */
async function within<T>(running: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  running.catch(() => undefined);
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${limitMs / 1_000} s`)), limitMs);
  });
  try {
    return await Promise.race([running, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Progress goes to stderr, so that stdout is the table alone. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!isUsage(error)) throw error;
  say(error.message);
  process.exitCode = 2;
}
