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
}

/** `share`: of all requests, from 0 to 1. */
export interface SourceShare {
  readonly source: NameSource;
  readonly requests: number;
  readonly share: number;
}

/** What an operator sees of it: the sums of all processes of a gateway, the greatest first. */
export interface SeenNamesStatus {
  readonly pool: string;
  /** The length of the period that is counted; workers that started later count from then on. */
  readonly seconds: number;
  /** Some worker did not answer, so its requests are missing. */
  readonly partial: boolean;
  readonly requests: number;
  readonly sources: readonly SourceShare[];
  readonly reasons: readonly { readonly reason: UnnamedReason; readonly requests: number }[];
  /** The most frequent ones. */
  readonly unnamedOperations: readonly { readonly operation: string; readonly requests: number }[];
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

export const SEEN_SECONDS = 3_600;
const MOST_OPERATIONS = 20;

/** @param answers of all processes; `undefined` for those that did not answer */
export function seenNamesStatus(pool: string, answers: readonly (SeenNames | undefined)[]): SeenNamesStatus {
  const seen = answers.filter((answer) => answer !== undefined);
  const sources = sums(seen.map((one) => one.sources));
  const operations = (of: (one: SeenNames) => ReadonlyMap<string, number>) =>
    sums(seen.map(of))
      .slice(0, MOST_OPERATIONS)
      .map(([operation, count]) => ({ operation, requests: count }));
  return {
    pool,
    seconds: SEEN_SECONDS,
    partial: seen.length < answers.length,
    requests: totalOf(sources),
    sources: sharesOf(sources),
    reasons: sums(seen.map((one) => one.reasons)).map(([reason, count]) => ({ reason, requests: count })),
    unnamedOperations: operations((one) => one.operations),
    ignored: sums(seen.map((one) => one.ignored)).map(([key, values]) => {
      const [source, reason = ''] = key.split(' ') as [NamePlace, string?];
      return { source, reason, values };
    }),
    conflicts: operations((one) => one.conflicts),
  };
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
