import { configTable } from '../../src/config/reference.ts';
import { ERRORS } from '../../src/core/errors.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { adminDocument } from './admin-server.ts';
import { changesTable, readsTable, statusesTable } from './admin-tables.ts';

const ADMIN_API = 'deploy/docs/admin-api.md';
const admin = await adminDocument();

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, source, message }]) => `| \`${code}\` | ${status} | ${source} | ${message} |`,
  );
  return ['| code | status | caused by | message |', '|---|---|---|---|', ...rows].join('\n');
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

/** A part of the reference that is made from the code: the page it stands on, and how it is made. */
export interface GeneratedPart {
  /** Relative to the root of the repository. */
  readonly page: string;
  readonly render: () => string;
}

/** The generated parts, by the name in their markers. */
export const GENERATED: Readonly<Record<string, GeneratedPart>> = {
  'admin-reads': { page: ADMIN_API, render: () => readsTable(admin) },
  'admin-changes': { page: ADMIN_API, render: () => changesTable(admin, 'pools') },
  'admin-gateway': { page: ADMIN_API, render: () => changesTable(admin, 'gateway') },
  'admin-log-in': { page: ADMIN_API, render: () => changesTable(admin, 'access') },
  'admin-answers': { page: ADMIN_API, render: statusesTable },
  config: { page: 'deploy/docs/configuration.md', render: configTable },
  errors: { page: 'deploy/docs/errors.md', render: errorTable },
  metrics: { page: 'deploy/docs/metrics.md', render: metricTable },
};

const markers = (part: string): [string, string] => [`<!-- ${part}:begin -->`, `<!-- ${part}:end -->`];

/** What stands between the markers of a part. Throws where they are missing. */
export function partOf(page: string, part: string): string {
  const [begin, end] = markers(part);
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new Error(`no ${begin} … ${end}`);
  return page.slice(from + begin.length, to).trim();
}

/** A page with every generated part that it has made from the code again. */
export function regenerated(page: string): string {
  let text = page;
  for (const [part, { render }] of Object.entries(GENERATED)) {
    const [begin, end] = markers(part);
    if (!text.includes(begin)) continue;
    const [before = ''] = text.split(begin);
    const [, after = ''] = text.split(end);
    text = `${before}${begin}\n${render().trim()}\n${end}${after}`;
  }
  return text;
}
