import type { Registry } from 'prom-client';
import type { NamePlace, NameSource, SeenNames, UnnamedReason } from '../core/seen-names.ts';
import { elementKey, IGNORED, ignoredKey, NAMED, SEEN_SECONDS, UNNAMED } from '../core/seen-names.ts';
import { LastHour } from './last-hour.ts';
import { Tally } from './tally.ts';

// Of a pool in five minutes. ICI has some dozens of operations.
const MOST_OPERATIONS = 100;
const MOST_LETTERS = 100;
// In five minutes, of an operation and a pool: the requests whose elements are listed, and the names that are kept.
const MOST_LISTED = 3;
const MOST_ELEMENTS = 1_000;
const OTHERS = '(others)';
const NO_OPERATION = '(no operation)';

// No name of an element is empty.
const SEARCHED = '';

/** What is looked for in bodies, as in {@link lookedForKey}. */
export interface LookedFor {
  readonly user: readonly string[];
  readonly session: readonly string[];
}

/** Which rule of each kind found a name. */
interface FoundAt {
  readonly userRank?: number | undefined;
  readonly sessionRank?: number | undefined;
}

/** How requests name their agents, for Prometheus and over the last hour. */
export class NameCounts {
  readonly #total: Tally;
  readonly #ignoredTotal: Tally;
  readonly #sources = new LastHour<NameSource>();
  readonly #reasons = new LastHour<UnnamedReason>();
  readonly #operations = new LastHour<string>(MOST_OPERATIONS, OTHERS);
  readonly #ignored = new LastHour();
  readonly #conflicts = new LastHour<string>(MOST_OPERATIONS, OTHERS);
  readonly #listed = new LastHour<string>(MOST_OPERATIONS);
  readonly #elements = new LastHour<string>(MOST_ELEMENTS);
  readonly #found = new LastHour<string>();
  readonly #begunAt = performance.now();
  #lookedFor: LookedFor = { user: [], session: [] };

  constructor(registry: Registry) {
    this.#total = new Tally(
      registry,
      'gateway_identity_total',
      'Requests of pools that bind agents, by where the name that decides was found (header, cookie, body, address, none), and why there was none (otherwise empty)',
      ['pool', 'source', 'reason'],
    );
    this.#ignoredTotal = new Tally(
      registry,
      'gateway_names_ignored_total',
      'Names in requests that were not used, by source (header, cookie, body) and reason: found (in a body, and bound to another instance than the name that decides), shared (a session on which several users alternate), conflict (two sessions beside a user), or why the value cannot be a name',
      ['pool', 'source', 'reason'],
    );
  }

  named(pool: string, source: Exclude<NameSource, 'none'>): void {
    this.#total.inc(pool, source, '');
    this.#sources.inc(pool, source);
  }

  /** @param operation its local name, if the body was searched and has one */
  unnamed(pool: string, reason: UnnamedReason, operation: string | undefined): void {
    this.#total.inc(pool, 'none', reason);
    this.#sources.inc(pool, 'none');
    this.#reasons.inc(pool, reason);
    this.#operations.inc(pool, shortened(operation));
  }

  /** Names the elements in which names are looked for, in the order of their rules. */
  lookFor(elements: LookedFor): void {
    this.#lookedFor = elements;
  }

  /** Counts a searched body, and the elements that held its names. */
  searched(pool: string, { userRank, sessionRank }: FoundAt): void {
    const { user, session } = this.#lookedFor;
    this.#found.inc(pool, SEARCHED);
    const [ofUser, ofSession] = [user[userRank ?? -1], session[sessionRank ?? -1]];
    if (ofUser !== undefined) this.#found.inc(pool, ofUser);
    if (ofSession !== undefined) this.#found.inc(pool, ofSession);
  }

  /** Should the elements of this request be listed, because it names no agent? Few are, so that it costs little. */
  wantsElements(pool: string, operation: string | undefined): boolean {
    const count = this.#listed.inc(pool, shortened(operation));
    return count > 0 && count <= MOST_LISTED;
  }

  /** Notes the names of elements in a request that names no agent. */
  elements(pool: string, operation: string | undefined, names: readonly string[]): void {
    for (const name of names) this.#elements.inc(pool, elementKey(shortened(operation), name));
  }

  /** Counts a value that was not used as a name. */
  ignored(pool: string, source: NamePlace, reason: string): void {
    this.#ignoredTotal.inc(pool, source, reason);
    this.#ignored.inc(pool, ignoredKey(source, reason));
  }

  /** Counts a name in a body that is bound to another instance than the name that decided. */
  conflict(pool: string, operation: string | undefined): void {
    this.#conflicts.inc(pool, shortened(operation));
  }

  /** Begins the series of a pool at zero. */
  begin(pool: string): void {
    for (const source of NAMED) this.#total.inc(pool, source, '', 0);
    for (const reason of UNNAMED) this.#total.inc(pool, 'none', reason, 0);
    for (const [source, reasons] of Object.entries(IGNORED))
      for (const reason of reasons) this.#ignoredTotal.inc(pool, source, reason, 0);
  }

  ofLastHour(pool: string): SeenNames {
    const found = this.#found.of(pool);
    const lookedFor = [...this.#lookedFor.user, ...this.#lookedFor.session];
    return {
      sources: this.#sources.of(pool),
      reasons: this.#reasons.of(pool),
      operations: this.#operations.of(pool),
      ignored: this.#ignored.of(pool),
      conflicts: this.#conflicts.of(pool),
      seconds: Math.min(SEEN_SECONDS, Math.round((performance.now() - this.#begunAt) / 1_000)),
      searched: found.get(SEARCHED) ?? 0,
      found: new Map(lookedFor.map((key) => [key, found.get(key) ?? 0])),
      elements: this.#elements.of(pool),
    };
  }
}

function shortened(operation = NO_OPERATION): string {
  return operation.slice(0, MOST_LETTERS);
}
