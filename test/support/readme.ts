import { configTable } from '../../src/config/reference.ts';
import { ERRORS } from '../../src/core/errors.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, source, message }]) => `| \`${code}\` | ${status} | ${source} | ${message} |`,
  );
  return ['| code | status | whose doing | message |', '|---|---|---|---|', ...rows].join('\n');
}

function metricTable(): string {
  const described = new Metrics({ processMetrics: false }).registry.getMetricsAsArray() as unknown as {
    readonly name: string;
    readonly help: string;
    readonly labelNames: readonly string[];
  }[];
  const rows = described.map(({ name, help, labelNames }) => {
    const labels = labelNames.length === 0 ? '' : `{${labelNames.join(',')}}`;
    return `| \`${name}${labels}\` | ${help} |`;
  });
  return ['| metric | meaning |', '|---|---|', ...rows].join('\n');
}

/** The parts of the README that are made from the code, by the name in their markers. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  config: configTable,
  errors: errorTable,
  metrics: metricTable,
};

const markers = (part: string): [string, string] => [`<!-- ${part}:begin -->`, `<!-- ${part}:end -->`];

/** What stands between the markers of a part. Throws where they are missing. */
export function partOf(readme: string, part: string): string {
  const [begin, end] = markers(part);
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md has no ${begin} … ${end}`);
  return readme.slice(from + begin.length, to).trim();
}

/** The README with every generated part made anew. */
export function regenerated(readme: string): string {
  let text = readme;
  for (const [part, render] of Object.entries(GENERATED)) {
    const [begin, end] = markers(part);
    text = text
      .replace(`${begin}\n${partOf(text, part)}`, begin)
      .replace(begin, () => `${begin}\n${render().trim()}`);
    if (!text.includes(`\n${end}`)) text = text.replace(end, `\n${end}`);
  }
  return text;
}
