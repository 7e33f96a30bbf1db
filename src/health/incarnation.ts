/** A regular expression, of whichever engine. */
export interface Capture {
  exec(text: string): readonly (string | undefined)[] | null;
}

/** Finds an incarnation by the one capture group of a pattern. */
export function byPattern(pattern: Capture): (page: string) => string {
  return (page) => pattern.exec(page)?.[1] ?? '';
}

/**
 * Finds an incarnation in a JSON page. What is neither text nor a number, and a
 * page that is not JSON, tell nothing.
 *
 * @param tokens of a JSON pointer (RFC 6901), unescaped
 */
export function byPointer(tokens: readonly string[]): (page: string) => string {
  return (page) => {
    let value: unknown;
    try {
      value = JSON.parse(page);
    } catch {
      return '';
    }
    for (const token of tokens) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return '';
      value = (value as Record<string, unknown>)[token];
    }
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
}
