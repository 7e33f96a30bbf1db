/** Where requests hold names. */
export type NamePlace = 'header' | 'cookie' | 'body';

/** Where the name that decides about a request was found. `none`: the request names no agent. */
export type NameSource = NamePlace | 'address' | 'none';

export const SOURCE_TEXTS: Readonly<Record<NameSource, string>> = {
  header: 'user in the header',
  cookie: 'session cookie',
  body: 'SOAP body',
  address: 'client address',
  none: 'no agent',
};

/**
 * Why a request names no agent.
 *
 * `no-name`: neither its header nor its body has a name in the places that the configuration lists. `refused`: there
 * was a value, and it cannot be a name. `shared`: there was a session, and several users alternate on it. Otherwise the
 * body could not be searched: it is `not-xml`, has a `doctype`, is in an unknown `encoding` or compression, its parts
 * cannot be found (`multipart`); or no name stands within `limits.xmlDepth` (`too-deep`) or
 * `limits.identityBytes` (`too-long`).
 */
export type UnnamedReason =
  | 'no-name'
  | 'refused'
  | 'shared'
  | 'doctype'
  | 'not-xml'
  | 'encoding'
  | 'multipart'
  | 'too-deep'
  | 'too-long';

/** How the requests of a pool named their agents in the last hour, at one process: numbers of requests. */
export interface SeenNames {
  readonly sources: ReadonlyMap<NameSource, number>;
  /** Of requests that named no agent. */
  readonly reasons: ReadonlyMap<UnnamedReason, number>;
  /** Local names of the operations that named no agent; the least frequent ones are counted together. */
  readonly operations: ReadonlyMap<string, number>;
  /** Values that were not used as names, by place and reason as in {@link ignoredKey}. */
  readonly ignored: ReadonlyMap<string, number>;
  /** Operations whose body names an agent who is bound to another instance than the name that decided. */
  readonly conflicts: ReadonlyMap<string, number>;
  // Processes of earlier releases do not tell the rest.
  /** For how long the process has counted, at most {@link SEEN_SECONDS}. */
  readonly seconds?: number;
  /** Bodies that were searched for names. */
  readonly searched?: number;
  /** In how many of them each configured element held the name, by {@link lookedForKey}. */
  readonly found?: ReadonlyMap<string, number>;
  /** Elements that hold text, in a sample of the requests that named no agent, by {@link elementKey}. */
  readonly elements?: ReadonlyMap<string, number>;
}

/** `share`: of all requests, from 0 to 1. */
export interface SourceShare {
  readonly source: NameSource;
  readonly requests: number;
  readonly share: number;
}

export interface UnnamedOperation {
  readonly operation: string;
  readonly requests: number;
  /** Names of its elements that hold text, in a sample. Gateways of earlier releases do not tell. */
  readonly elements?: readonly string[];
}

export interface FoundElement {
  readonly kind: 'user' | 'session';
  readonly element: string;
  readonly requests: number;
}

/** What an operator sees of it: the sums of all processes of a gateway, the greatest first. */
export interface SeenNamesStatus {
  readonly pool: string;
  /** The length of the period that is counted: an hour, or less if all workers started later, as after a reload. */
  readonly seconds: number;
  /** Some worker did not answer, so its requests are missing. */
  readonly partial: boolean;
  readonly requests: number;
  readonly sources: readonly SourceShare[];
  readonly reasons: readonly { readonly reason: UnnamedReason; readonly requests: number }[];
  /** The most frequent ones. */
  readonly unnamedOperations: readonly UnnamedOperation[];
  /** Bodies that were searched for names. */
  readonly searched: number;
  /** Each configured element, the best first, and in how many bodies it held the name. */
  readonly elements: readonly FoundElement[];
  readonly ignored: readonly {
    readonly source: NamePlace;
    readonly reason: string;
    readonly values: number;
  }[];
  readonly conflicts: readonly { readonly operation: string; readonly requests: number }[];
}

export function ignoredKey(source: NamePlace, reason: string): string {
  return `${source} ${reason}`;
}

export function lookedForKey(kind: FoundElement['kind'], element: string): string {
  return `${kind} ${element}`;
}

/** A name of an element has no line break. */
export function elementKey(operation: string, element: string): string {
  return `${element}\n${operation}`;
}

export const SEEN_SECONDS = 3_600;
const MOST_OPERATIONS = 20;
const MOST_ELEMENTS = 20;
const NOTHING: ReadonlyMap<string, number> = new Map();

/** @param answers of all processes; `undefined` for those that did not answer */
export function seenNamesStatus(pool: string, answers: readonly (SeenNames | undefined)[]): SeenNamesStatus {
  const seen = answers.filter((answer) => answer !== undefined);
  const sources = sums(seen.map((one) => one.sources));
  const operations = (of: (one: SeenNames) => ReadonlyMap<string, number>) =>
    sums(seen.map(of))
      .slice(0, MOST_OPERATIONS)
      .map(([operation, count]) => ({ operation, requests: count }));
  const elements = sums(seen.map((one) => one.elements ?? NOTHING));
  return {
    pool,
    seconds: Math.max(0, ...seen.map(({ seconds = SEEN_SECONDS }) => seconds)),
    partial: seen.length < answers.length,
    requests: totalOf(sources),
    sources: sharesOf(sources),
    reasons: sums(seen.map((one) => one.reasons)).map(([reason, count]) => ({ reason, requests: count })),
    unnamedOperations: operations((one) => one.operations).map((one) => ({
      ...one,
      elements: elementsOf(one.operation, elements),
    })),
    searched: seen.reduce((sum, { searched = 0 }) => sum + searched, 0),
    elements: foundElements(seen),
    ignored: sums(seen.map((one) => one.ignored)).map(([key, values]) => {
      const [source, reason = ''] = key.split(' ') as [NamePlace, string?];
      return { source, reason, values };
    }),
    conflicts: operations((one) => one.conflicts),
  };
}

function elementsOf(operation: string, elements: readonly (readonly [string, number])[]): string[] {
  const end = elementKey(operation, '');
  return elements
    .filter(([key]) => key.endsWith(end))
    .slice(0, MOST_ELEMENTS)
    .map(([key]) => key.slice(0, -end.length));
}

/** In the order of the configuration. */
function foundElements(seen: readonly SeenNames[]): FoundElement[] {
  const found = new Map<string, number>();
  for (const one of seen)
    for (const [key, count] of one.found ?? NOTHING) found.set(key, (found.get(key) ?? 0) + count);
  return [...found].map(([key, requests]) => {
    const at = key.indexOf(' ');
    return { kind: key.slice(0, at) as FoundElement['kind'], element: key.slice(at + 1), requests };
  });
}

/** The greatest first, without those that named no request. */
export function sharesOf(sources: readonly (readonly [NameSource, number])[]): SourceShare[] {
  const total = totalOf(sources);
  return sources
    .filter(([, requests]) => requests > 0)
    .map(([source, requests]) => ({ source, requests, share: requests / total }))
    .toSorted((a, b) => b.requests - a.requests);
}

function totalOf(sources: readonly (readonly [NameSource, number])[]): number {
  return sources.reduce((sum, [, requests]) => sum + requests, 0);
}

function sums<Key>(all: readonly ReadonlyMap<Key, number>[]): [Key, number][] {
  const sum = new Map<Key, number>();
  for (const counts of all) for (const [key, count] of counts) sum.set(key, (sum.get(key) ?? 0) + count);
  return [...sum].sort(([, a], [, b]) => b - a);
}

/** Where a name that decides can be found. */
export const NAMED = ['header', 'cookie', 'body', 'address'] as const;
/** Why a request can have no name. */
export const UNNAMED: readonly UnnamedReason[] = [
  ...(['no-name', 'refused', 'shared', 'doctype', 'not-xml', 'encoding', 'multipart'] as const),
  ...(['too-deep', 'too-long'] as const),
];
/** Why a name can be left out, by where it was found. */
export const IGNORED: Readonly<Record<NamePlace, readonly string[]>> = {
  header: ['length', 'characters', 'pattern'],
  cookie: ['length', 'characters', 'conflict', 'shared'],
  body: [
    'found',
    'shared',
    'wildcard',
    'space',
    'url',
    'telephone',
    'semicolon',
    'length',
    'characters',
    'pattern',
  ],
};
