import { fileURLToPath } from 'node:url';
import { MAIN } from '../../src/package.ts';
import { eventually } from '../support/eventually.ts';
import type { Program, Workbench } from './processes.ts';

/** What a contender needs to start. */
export interface Stage {
  readonly bench: Workbench;
  readonly upstream: string;
  /** One of each turn, so that no state is left from an earlier one. */
  readonly turn: number;
  /** The main file of the gateway. */
  readonly main?: string | undefined;
}

/** A program that has answered once. The processor time of its process group is counted. */
export interface Started {
  readonly url: string;
  readonly program: Program;
}

const UPSTREAM = fileURLToPath(new URL('./upstream.js', import.meta.url));
const BARE = fileURLToPath(new URL('./bare-proxies.js', import.meta.url));
const READY_MS = 15_000;

export async function startUpstream(bench: Workbench): Promise<Started> {
  const program = bench.start([process.execPath, UPSTREAM]);
  return { url: await printedUrl(program, /^(http:\S+)$/m), program };
}

/**
 * The built gateway as operators start it: all defaults, one instance in a sticky
 * pool, each request logged, to a file.
 *
 * @param name of its state directory
 * @param main its main file, by default that of this build
 */
export async function startGateway(
  bench: Workbench,
  upstream: string,
  name: string,
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  main = MAIN,
): Promise<Started & { readonly adminUrl: string }> {
  const addresses = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const pool = ['--mode', 'sticky', '--instance', `a=${upstream}`];
  const program = bench.startPinned(
    [
      process.execPath,
      '--single-threaded-gc',
      main,
      'start',
      '--workers',
      '0',
      ...addresses,
      ...pool,
      ...flags,
    ],
    {
      ...env,
      XDG_STATE_HOME: `${bench.directory}/${name}`,
    },
  );
  const url = await printedUrl(program, /"address":"([^"]+)","msg":"listening"/);
  const adminUrl = await printedUrl(program, /"address":"([^"]+)","msg":"admin listening"/);
  await untilAnswers(`${adminUrl}/readyz`);
  return { url, adminUrl, program };
}

export async function startBare(bench: Workbench, kind: string, upstream: string): Promise<Started> {
  const program = bench.startPinned([process.execPath, BARE, kind, upstream]);
  return { url: await printedUrl(program, /^(http:\S+)$/m), program };
}

/** Resolves when the address is answered 200. */
export async function untilAnswers(url: string): Promise<void> {
  await eventually(
    async () => {
      const { status } = await fetch(url, { signal: AbortSignal.timeout(1_000) });
      if (status !== 200) throw new Error(`${url} answered ${status}`);
    },
    { within: READY_MS },
  );
}

function printedUrl(program: Program, pattern: RegExp): Promise<string> {
  return eventually(
    () => {
      const output = program.output();
      const url = pattern.exec(output)?.[1];
      if (url === undefined) throw new Error(`it did not start: ${output.slice(-2_000)}`);
      return url;
    },
    { within: READY_MS, every: 20 },
  );
}
