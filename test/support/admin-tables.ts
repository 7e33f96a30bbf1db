import type { OpenApiDocument, Operation } from '../../src/admin/openapi.ts';
import { REFUSALS } from '../../src/admin/schemas/refusals.ts';

/** The tables of `deploy/docs/admin-api.md`, made of the description that the gateway gives of itself. */

interface Row {
  readonly request: string;
  readonly isRead: boolean;
  readonly operation: Operation;
}

export function readsTable(document: OpenApiDocument): string {
  const rows = rowsOf(document).filter(({ isRead }) => isRead);
  return table(
    ['request', 'role', 'answer'],
    rows.map(({ request, operation }) => [request, operation['x-role'], operation.summary]),
  );
}

/** @param concerns whether the changes concern pools and agents, this gateway only, or the session of a browser */
export function changesTable(document: OpenApiDocument, concerns: 'pools' | 'gateway' | 'access'): string {
  const concernOf = ({ tags }: Operation): string =>
    tags.find((tag) => tag === 'gateway' || tag === 'access') ?? 'pools';
  const rows = rowsOf(document).filter(
    ({ isRead, operation }) => !isRead && concernOf(operation) === concerns,
  );
  return table(
    ['request', 'role', 'body beside `why` and `by`', 'what it does'],
    rows.map(({ request, operation }) => [
      request,
      operation['x-role'],
      fieldsOf(operation),
      operation.summary,
    ]),
  );
}

export function statusesTable(): string {
  return table(
    ['answer', 'meaning'],
    [
      ['200', 'done, and every live gateway acts on it'],
      [
        '202',
        'decided, but not every gateway has acknowledged it within 5 s; a gateway that died delays it by its lease at most',
      ],
      ...Object.entries(REFUSALS).map(([status, meaning]) => [status, meaning]),
    ],
  );
}

function rowsOf({ paths }: OpenApiDocument): Row[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      request: `\`${method.toUpperCase()} ${shortened(path)}${queryOf(operation)}\``,
      // Viewers change nothing, but some of their questions need a body.
      isRead: method === 'get' || operation['x-role'] === 'viewer',
      operation,
    })),
  );
}

/** `/pools/P/drain/I`, as the text names pools and instances. */
function shortened(path: string): string {
  return path
    .replace('{pool}', 'P')
    .replace('{instance}', 'I')
    .replaceAll(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase());
}

function queryOf({ parameters = [] }: Operation): string {
  const names = parameters.filter((one) => one.in === 'query').map(({ name }) => `${name}=`);
  return names.length === 0 ? '' : `?${names.join('&')}`;
}

interface Body {
  readonly properties: Readonly<Record<string, { readonly description: string }>>;
  readonly required: readonly string[];
}

const EVERYWHERE = new Set(['why', 'by', 'ifView']);

function fieldsOf({ requestBody }: Operation): string {
  const content = requestBody?.['content'] as Readonly<Record<string, { readonly schema: Body }>> | undefined;
  const { properties = {}, required = [] } = content?.['application/json']?.schema ?? {};
  return Object.entries(properties)
    .filter(([name]) => !EVERYWHERE.has(name))
    .map(
      ([name, { description }]) =>
        `\`${name}\`${required.includes(name) ? '' : ' (optional)'}: ${description}`,
    )
    .join('; ');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
