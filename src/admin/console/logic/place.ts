/** The part of the address after `#`: the page, what it is about, and its filters. */

const PAGES = [
  'overview',
  'agents',
  'agent',
  'pool',
  'drain',
  'history',
  'gateway',
  'events',
  'config',
  'explain',
  'live',
  'errors',
] as const;

export type Page = (typeof PAGES)[number];

/** Pages that are about this gateway as a whole. */
const ALONE: readonly Page[] = ['gateway', 'events', 'config', 'explain', 'live', 'errors'];

export interface Place {
  readonly page: Page | 'unknown';
  readonly pool: string;
  readonly instance: string;
  /** The agent of page `agent`. */
  readonly name: string;
  readonly query: Readonly<Record<string, string>>;
}

const NOWHERE: Place = { page: 'unknown', pool: '', instance: '', name: '', query: {} };

/** @param hash as in `location.hash` */
export function parsePlace(hash: string): Place {
  const [path = '', search = ''] = hash.replace(/^#/, '').split('?', 2);
  const query = Object.fromEntries([...new URLSearchParams(search)].filter(([, value]) => value !== ''));
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decode);
  return { ...NOWHERE, ...pageOf(parts), query };
}

function pageOf(parts: readonly string[]): Partial<Place> {
  const [first, second, third, fourth] = parts;
  if (first === undefined) return { page: 'overview' };
  if (first === 'agents' && second === undefined) return { page: 'agents' };
  if (first === 'agents' && third !== undefined && fourth === undefined)
    return { page: 'agent', pool: second ?? '', name: third };
  if (first === 'pools') {
    if (third === undefined) return { page: 'pool', pool: second ?? '' };
    if (third === 'history' && second !== undefined && fourth === undefined)
      return { page: 'history', pool: second };
    if (third === 'drain' && second !== undefined && fourth !== undefined)
      return { page: 'drain', pool: second, instance: fourth };
  }
  const isAlone = ALONE.some((page) => page === first);
  if (isAlone && second === undefined) return { page: first as Page };
  return {};
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

type Query = Readonly<Record<string, string | undefined>>;

const encode = encodeURIComponent;

/** Leaves out what is empty, so that an address names only what was chosen. */
function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`;
}

export const OVERVIEW = '#/';
export const GATEWAY = '#/gateway';
export const toAgents = (query: Query = {}): string => withQuery('#/agents', query);
/** A user is known by the name alone. */
export const toAgent = (pool: string, name: string, kind = 'user'): string =>
  withQuery(`#/agents/${encode(pool)}/${encode(name)}`, { kind: kind === 'user' ? '' : kind });
/** The first pool. */
export const POOLS = '#/pools';
export const toPool = (pool: string): string => `#/pools/${encode(pool)}`;
export const toDrain = (pool: string, instance: string): string =>
  `${toPool(pool)}/drain/${encode(instance)}`;
export const toHistory = (pool: string, query: Query = {}): string =>
  withQuery(`${toPool(pool)}/history`, query);
export const toEvents = (query: Query = {}): string => withQuery('#/events', query);
export const toExplain = (query: Query = {}): string => withQuery('#/explain', query);
export const toLive = (query: Query = {}): string => withQuery('#/live', query);
export const ERRORS_PAGE = '#/errors';
export const toConfig = (query: Query = {}): string => withQuery('#/config', query);

/** The same address with some filters changed; an empty one is left out. */
export function withFilters(hash: string, changes: Query): string {
  const [path = '#/'] = hash.split('?', 1);
  return withQuery(path === '' ? '#/' : path, { ...parsePlace(hash).query, ...changes });
}
