import type { Logger } from '../../telemetry/logger.ts';

export type SecurityKind =
  | 'login'
  | 'login-refused'
  | 'logout'
  | 'act'
  | 'act-refused'
  /** A request that its sender may not make. */
  | 'forbidden';

interface SecurityEvent {
  readonly kind: SecurityKind;
  /** The user or token; `null` if the sender is not known. */
  readonly user: string | null;
  readonly role: string | null;
  /** The address of the peer. */
  readonly source: string;
  readonly act: string | null;
  readonly pool: string | null;
  readonly instance: string | null;
  /** The reason of the operator, or that of a refusal. */
  readonly why: string | null;
  readonly outcome: string;
}

type Given = Pick<SecurityEvent, 'kind' | 'source' | 'outcome'> & Partial<SecurityEvent>;

export interface SecurityEntry extends SecurityEvent {
  readonly at: string;
}

const MOST_ENTRIES = 500;
const REPEATED_WITHIN_MS = 10_000;
const MOST_REMEMBERED = 1_000;
const TEXTS: Readonly<Record<SecurityKind, string>> = {
  login: 'log-in',
  'login-refused': 'log-in refused',
  logout: 'log-out',
  act: 'operator acted',
  'act-refused': 'act of an operator refused',
  forbidden: 'request refused',
};

/** Log-ins, acts and refusals: as lines of the log, and the last ones in memory. */
export class SecurityLog {
  readonly #logger: Logger;
  #entries: SecurityEntry[] = [];
  readonly #recordedAt = new Map<string, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** What is not given does not apply. */
  record(given: Given): void {
    const event = eventOf(given);
    const { kind, ...fields } = event;
    this.#logger[isRefusal(kind) ? 'warn' : 'info']({ security: kind, ...fields }, TEXTS[kind]);
    this.#entries.push({ at: new Date().toISOString(), ...event });
    if (this.#entries.length > 2 * MOST_ENTRIES) this.#entries = this.#entries.slice(-MOST_ENTRIES);
  }

  /** Drops the same event within a short time: a client that repeats it must not push other entries out. */
  recordOnce(given: Given): void {
    const { kind, user, source, act, why } = eventOf(given);
    const now = performance.now();
    const key = JSON.stringify([kind, user, source, act, why]);
    const last = this.#recordedAt.get(key);
    if (last !== undefined && now - last < REPEATED_WITHIN_MS) return;
    if (this.#recordedAt.size >= MOST_REMEMBERED) this.#recordedAt.clear();
    this.#recordedAt.set(key, now);
    this.record(given);
  }

  /** Newest first. */
  entries(limit = MOST_ENTRIES): readonly SecurityEntry[] {
    return this.#entries.slice(-Math.min(limit, MOST_ENTRIES)).reverse();
  }
}

function eventOf(given: Given): SecurityEvent {
  return { user: null, role: null, act: null, pool: null, instance: null, why: null, ...given };
}

function isRefusal(kind: SecurityKind): boolean {
  return kind === 'forbidden' || kind === 'login-refused';
}
