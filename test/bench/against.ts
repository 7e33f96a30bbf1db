import { existsSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ContenderName } from './contenders.ts';
import { median } from './figures.ts';
import type { Connections } from './load.ts';
import type { SectionReport } from './report.ts';
import type { Turn } from './requests.ts';
import type { Judged } from './targets.ts';
import { judged } from './targets.ts';

/** What this run is compared with. */
export interface Against {
  /** The main file of another build. */
  readonly main?: string;
  /** The commit of that build, where it knows it. */
  readonly commit?: string | undefined;
  /** The results of an earlier run. */
  readonly file?: string;
}

/** Ends the name of a contender of the other tree. */
export const OTHER = '@other';

/** @throws if there is neither a built tree nor a file */
export function against(path: string): Against {
  if (!existsSync(path)) throw new Error(`--against: there is no ${path}`);
  if (!statSync(path).isDirectory()) return { file: resolve(path) };
  const main = resolve(path, 'dist/main.js');
  if (!existsSync(main))
    throw new Error(`--against: ${path} is not built: there is no ${join(path, 'dist/main.js')}`);
  const commitFile = resolve(path, 'dist/commit');
  return { main, commit: existsSync(commitFile) ? readFileSync(commitFile, 'utf8').trim() : undefined };
}

/** This tree / the other one, of each gateway: an interval under 1 says that this one needs less. */
export function judgeTrees(
  turns: ReadonlyMap<string, readonly Turn[]>,
  names: readonly ContenderName[],
  kinds: readonly Connections[],
): Judged[] {
  return names.flatMap((name) =>
    kinds.flatMap((connections) => {
      const microsOf = (label: string): number[] =>
        (turns.get(label) ?? []).flatMap((turn) => turn[connections]?.cpuMicros ?? []);
      const other = microsOf(`${name}${OTHER}`);
      if (other.length === 0) return [];
      const kind = connections === 'new' ? 'new connections' : 'kept alive';
      return [judged(`${name}, ${kind}: this tree / the other`, microsOf(name), other, 1)];
    }),
  );
}

interface Saved {
  readonly date: string;
  readonly sections: readonly {
    readonly title: string;
    readonly data: Readonly<Record<string, readonly ({ readonly cpuMicros?: number } | null)[]>>;
  }[];
}

/** An earlier run beside this one. Both had another moment of the machine, so there is no verdict. */
export function besideFile(file: string, reports: readonly SectionReport[]): SectionReport {
  const saved = JSON.parse(readFileSync(file, 'utf8')) as Saved;
  const rows = reports.flatMap(({ title, data }) => {
    const earlier = saved.sections.find((section) => section.title === title)?.data ?? {};
    return Object.entries(data as Saved['sections'][number]['data']).flatMap(([name, samples]) => {
      const [now, then] = [medianMicros(samples), medianMicros(earlier[name] ?? [])];
      if (Number.isNaN(now) || Number.isNaN(then)) return [];
      return [[`${name}, ${title.toLowerCase()}`, then.toFixed(0), now.toFixed(0), (now / then).toFixed(2)]];
    });
  });
  return {
    title: `Beside the run of ${saved.date} (not interleaved: no verdict)`,
    rows: [['', 'µs/request then', 'now', 'ratio'], ...rows],
    judged: [],
    data: rows,
  };
}

function medianMicros(samples: readonly ({ readonly cpuMicros?: number } | null)[]): number {
  return median(samples.flatMap((sample) => sample?.cpuMicros ?? []));
}
