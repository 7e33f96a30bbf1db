import { Session } from 'node:inspector/promises';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What vitest makes of an export, and calls for each use of an import. */
const EXPORT = /^\(\) => \{ try \{ return \w+ \} catch/;

/** Own files, relative to the project's root, each with the functions of it that ran, in the order of the source. */
export type Executed = ReadonlyMap<string, readonly string[]>;

// A timer that runs in one repetition does not run in all of these, also on a busy machine.
const STABLE_FOR = 30;
const MAX_REPETITIONS = 400;

/**
 * Which own functions run each time that `act` runs. Timers of the same process run functions as well, so `act` is
 * repeated until none of the functions has been missing for {@link STABLE_FOR} repetitions.
 */
export async function executedBy(act: () => Promise<unknown>): Promise<Executed> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Debugger.enable');
    // With call counts V8 does not inline, so that every function that runs is seen.
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    let common: ReadonlySet<string> | undefined;
    let stable = 0;
    for (let i = 0; i < MAX_REPETITIONS && stable < STABLE_FOR; i += 1) {
      await session.post('Profiler.takePreciseCoverage');
      await act();
      const ran = await functionsRun(session);
      const next: ReadonlySet<string> =
        common === undefined ? ran : new Set([...common].filter((one) => ran.has(one)));
      stable = next.size === common?.size ? stable + 1 : 0;
      common = next;
    }
    return byFile(common ?? new Set());
  } finally {
    await session.post('Profiler.stopPreciseCoverage');
    session.disconnect();
  }
}

const sources = new Map<string, string>();

async function sourceOf(session: Session, scriptId: string): Promise<string> {
  const known = sources.get(scriptId);
  if (known !== undefined) return known;
  const { scriptSource } = await session.post('Debugger.getScriptSource', { scriptId });
  sources.set(scriptId, scriptSource);
  return scriptSource;
}

/** `file#function` of each function under `src/` that ran since coverage was taken last. */
async function functionsRun(session: Session): Promise<ReadonlySet<string>> {
  const { result } = await session.post('Profiler.takePreciseCoverage');
  const ran = new Set<string>();
  for (const { url, scriptId, functions } of result) {
    const file = relative(ROOT, url.startsWith('file:') ? fileURLToPath(url) : url);
    if (!file.startsWith('src/')) continue;
    const source = await sourceOf(session, scriptId);
    for (const { functionName, ranges } of functions) {
      const [whole] = ranges;
      if (whole === undefined || whole.count === 0) continue;
      const { startOffset, endOffset } = whole;
      const text = source.slice(startOffset, endOffset);
      if (EXPORT.test(text)) continue;
      ran.add(`${file}#${functionName || /^#\w+/.exec(text)?.[0] || '()'}#${startOffset}`);
    }
  }
  return ran;
}

function byFile(functions: ReadonlySet<string>): Executed {
  const files = new Map<string, string[]>();
  for (const one of functions) {
    const [file = '', name = ''] = one.split('#');
    const known = files.get(file);
    if (known === undefined) files.set(file, [name]);
    else known.push(name);
  }
  return files;
}
