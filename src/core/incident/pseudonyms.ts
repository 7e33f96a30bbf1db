import { createHmac } from 'node:crypto';

// Shorter names stand in too many words.
const SHORTEST_IN_TEXT = 3;
// Such names are rare; each is looked for in every text.
const MOST_ODD = 50;
// What a name may consist of that is found as one word.
const WORD = /[\p{L}\p{N}_][\p{L}\p{N}_.@\\$-]*/gu;
const WHOLE_WORD = /^[\p{L}\p{N}_][\p{L}\p{N}_.@\\$-]*$/u;
const SAYS = /^(.*) \(says (.*)\)$/;

// Their values are words of the gateway itself, whatever an agent is called.
const OWN_WORDS = new Set([
  ...['kind', 'health', 'admin', 'standing', 'state', 'severity', 'effect', 'mode', 'balancer', 'verdict'],
  ...['level', 'msg', 'decision', 'code', 'identitySource', 'status', 'path', 'version'],
]);

/**
 * Replaces names of people, so that they can be compared with each other within one archive and with nothing else. A
 * name must be known before it is found in texts.
 */
export class Pseudonyms {
  readonly #key: Buffer;
  readonly #spared: ReadonlySet<string>;
  /** Known names in upper case, each with its pseudonym once that was needed. */
  readonly #known = new Map<string, string | undefined>();
  /** Known names that are more than a word. */
  readonly #odd: string[] = [];

  /**
   * @param key equal names have equal pseudonyms under the same key
   * @param spared what is no person, such as the ids of instances
   */
  constructor(key: Buffer, spared: Iterable<string>) {
    this.#key = key;
    this.#spared = new Set(['', ...spared]);
  }

  /** From now on this name is replaced. */
  know(name: string | null | undefined): void {
    if (name == null || this.#spared.has(name) || this.#known.has(name.toUpperCase())) return;
    const [, bearer, said] = SAYS.exec(name) ?? [];
    if (bearer !== undefined && said !== undefined) {
      this.know(bearer);
      this.know(said);
      return;
    }
    this.#known.set(name.toUpperCase(), undefined);
    if (!WHOLE_WORD.test(name) && name.length >= SHORTEST_IN_TEXT && this.#odd.length < MOST_ODD)
      this.#odd.push(name);
  }

  /** The pseudonym of a name that stands in no text. */
  of(name: string): string {
    const hash = createHmac('sha256', this.#key).update(name.toUpperCase()).digest('base64url');
    return `name-${hash.slice(0, 12)}`;
  }

  /** The text with the names replaced that stand in it as words. */
  text(text: string): string {
    const whole = this.#pseudonym(text);
    if (whole !== undefined) return whole;
    let shown = text;
    for (const name of this.#odd)
      if (shown.includes(name)) shown = shown.replaceAll(name, this.#pseudonym(name) ?? '');
    return shown.replace(WORD, (word) => this.#word(word));
  }

  /** The same value with all its texts replaced. */
  json(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((one) => this.json(one));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [
        key,
        typeof one === 'string' && OWN_WORDS.has(key) ? one : this.json(one),
      ]),
    );
  }

  #word(word: string): string {
    // The word may end a sentence.
    const bare = word.replace(/[.\\-]+$/, '');
    const whole = this.#inText(bare);
    if (whole !== undefined) return whole + word.slice(bare.length);
    // Such as `MILLER-b`.
    return word.replace(/[^.@\\$-]+/g, (part) => this.#inText(part) ?? part);
  }

  #inText(word: string): string | undefined {
    if (word.length < SHORTEST_IN_TEXT || this.#spared.has(word)) return undefined;
    return this.#pseudonym(word);
  }

  #pseudonym(name: string): string | undefined {
    const folded = name.toUpperCase();
    if (!this.#known.has(folded)) return undefined;
    let pseudonym = this.#known.get(folded);
    if (pseudonym === undefined) {
      pseudonym = this.of(folded);
      this.#known.set(folded, pseudonym);
    }
    return pseudonym;
  }
}
