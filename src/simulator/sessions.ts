/** A connector's record of one agent. */
export interface Session {
  readonly user: string;
  /** The value of `WS_SESSION_ID` at logon; `''` on systems that do not send it. */
  readonly sessionId: string;
  readonly loggedOnAt: string;
  workMode: string;
  /** The text with which the agent chose a work center. It holds a password. */
  workCenter: string;
  requests: number;
  /** Callback URL by application id. */
  readonly subscriptions: Map<string, string>;
  /** The ids of its latest calls. */
  readonly calls: string[];
}

/** More sessions point to an error of the caller: a connector serves some hundreds of agents. */
const MAX_SESSIONS = 20_000;
const MAX_SUBSCRIPTIONS = 32;
const MAX_CALLS = 8;

/**
 * The agents that are logged on at one connector. In memory only: no other connector
 * knows them, and a restart forgets them.
 */
export class Sessions {
  readonly #byUser = new Map<string, Session>();

  get size(): number {
    return this.#byUser.size;
  }

  /** Keyed by user; if the request names no user by session id, and if it has none either by the id of a call. */
  find(user: string, sessionId: string, callId = ''): Session | undefined {
    if (user !== '') return this.#byUser.get(canonical(user));
    if (sessionId === '' && callId === '') return undefined;
    for (const session of this.#byUser.values()) {
      if (sessionId === '' ? session.calls.includes(callId) : session.sessionId === sessionId) return session;
    }
    return undefined;
  }

  addCall(session: Session, callId: string): void {
    session.calls.push(callId);
    if (session.calls.length > MAX_CALLS) session.calls.shift();
  }

  /**
   * Logs an agent on. Another session id than before is a new logon: the old
   * subscriptions end with the old session.
   *
   * Returns `undefined` if the connector is full.
   */
  subscribe(user: string, sessionId: string, appId: string, appUrl: string): Session | undefined {
    const key = canonical(user);
    let session = this.#byUser.get(key);
    if (session === undefined || session.sessionId !== sessionId) {
      if (session === undefined && this.#byUser.size >= MAX_SESSIONS) return undefined;
      session = {
        user: key,
        sessionId,
        loggedOnAt: new Date().toISOString(),
        workMode: '',
        workCenter: '',
        requests: 0,
        subscriptions: new Map(),
        calls: [],
      };
      this.#byUser.set(key, session);
    }
    if (session.subscriptions.has(appId) || session.subscriptions.size < MAX_SUBSCRIPTIONS) {
      session.subscriptions.set(appId, appUrl);
    }
    return session;
  }

  unsubscribe(session: Session, appId: string): void {
    session.subscriptions.delete(appId);
  }

  end(session: Session): void {
    this.#byUser.delete(session.user);
  }

  users(): string[] {
    return [...this.#byUser.keys()];
  }

  all(): Session[] {
    return [...this.#byUser.values()];
  }
}

function canonical(user: string): string {
  return user.trim().toUpperCase();
}
