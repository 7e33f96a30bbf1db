import type { Said } from './message.ts';
import type { Random } from './random.ts';

/** How the system of an agent names them: by the header, the cookie, both, or in bodies alone. */
export type Style = 'header' | 'both' | 'cookie' | 'body' | 'shared-cookie';

export const STYLES: readonly Style[] = ['header', 'both', 'cookie', 'body', 'body', 'shared-cookie'];

/** Operations with which the systems of these dialogues log on. */
export const LOGON = ['logon', 'subscribe'];

/** The names of an agent. */
export interface Person {
  readonly user: string;
  session: string;
}

/** One agent from the log-on to the last request. */
export class Dialogue implements Person {
  readonly user: string;
  readonly style: Style;
  session: string;
  readonly #prefix: string;
  readonly #random: Random;
  readonly #sharedCookie: string;
  #sessions = 0;
  #isLoggedOn = false;

  constructor(user: string, style: Style, sharedCookie: string, random: Random) {
    this.user = user;
    this.style = style;
    this.#prefix = `SID%3aANON%3a${user}`;
    this.#random = random;
    this.#sharedCookie = sharedCookie;
    this.session = this.#nextSession();
  }

  /** The next request, and the other people named in it. */
  say(people: readonly Person[]): { said: Said; named: readonly Person[] } {
    const random = this.#random;
    if (!this.#isLoggedOn || random.chance(0.06)) return { said: this.#logon(), named: [] };
    const named = random.chance(0.45) ? [random.of(people)] : [];
    return { said: this.#request(named[0]), named };
  }

  #logon(): Said {
    if (this.#isLoggedOn) this.session = this.#nextSession();
    this.#isLoggedOn = true;
    const operation = this.#random.of(LOGON);
    const { user, session } = this;
    switch (this.style) {
      case 'header':
        return { operation, header: user };
      case 'both':
        return { operation, header: user, cookie: session };
      case 'shared-cookie':
        return { operation, header: user, cookie: this.#sharedCookie };
      case 'cookie':
        return { operation, cookie: session, user };
      case 'body':
        return { operation, user, session };
    }
  }

  #request(other: Person | undefined): Said {
    const random = this.#random;
    const { user, session } = this;
    const { operation, others, searched } = this.#about(other);
    // If a request names another user in the element that names the agent elsewhere, it does not name the agent there.
    const told = { operation, others };
    switch (this.style) {
      case 'header':
        return { ...told, header: user, ...searched };
      case 'shared-cookie':
        return { ...told, header: user, cookie: this.#sharedCookie, ...searched };
      case 'both':
        // By now both names belong to one agent, so either will do.
        if (random.chance(0.3)) return { ...told, cookie: session, ...searched };
        return { ...told, header: user, ...(random.chance(0.7) ? { cookie: session } : {}), ...searched };
      case 'cookie':
        return { ...told, cookie: session, ...(searched ?? (random.chance(0.3) ? { user } : {})) };
      case 'body':
        if (searched !== undefined) return { ...told, session, user: searched.user };
        if (random.chance(0.15)) return { ...told, user };
        return { ...told, session, ...(random.chance(0.5) ? { user } : {}) };
    }
  }

  /** The operation: a search, a transfer, a list, or one without names. */
  #about(other: Person | undefined): {
    operation: string;
    others: readonly string[];
    searched?: { user: string; session?: string };
  } {
    const random = this.#random;
    if (other === undefined) {
      if (random.chance(0.15)) {
        return {
          operation: 'getPresence',
          others: ['<user>*</user>'],
          searched: { user: random.of(['*', '%', 'MI*']) },
        };
      }
      return { operation: random.of(['setCurrentWorkmode', 'accept', 'getAttributes']), others: [] };
    }
    const { user, session } = other;
    switch (random.below(6)) {
      case 0:
        return { operation: 'getPresence', others: [], searched: { user } };
      case 1:
        return { operation: 'monitor', others: [], searched: { user, session } };
      case 2:
        return { operation: 'transfer', others: [`<callId>7</callId><agent>${user}</agent>`] };
      case 3:
        return { operation: 'invite', others: [`<participant><userId>${user}</userId></participant>`] };
      case 4:
        return {
          operation: 'notify',
          others: [`<USER_IDS><item>${user}</item></USER_IDS><originator>${user}</originator>`],
        };
      default:
        return {
          operation: 'getMessages',
          others: [`<appIds><item>${session}</item><item>${session}X</item></appIds>`],
        };
    }
  }

  #nextSession(): string {
    this.#sessions += 1;
    return `${this.#prefix}_${this.#sessions}-NEW`;
  }
}
