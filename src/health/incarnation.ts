/** A regular expression of any engine. */
export interface Capture {
  exec(text: string): readonly (string | undefined)[] | null;
}

/** Finds the incarnation by the only capture group of a pattern. */
export function byPattern(pattern: Capture): (page: string) => string {
  return (page) => pattern.exec(page)?.[1] ?? '';
}

/**
 * Finds the incarnation in a JSON page. Returns `''` if the page is no JSON, or the value neither text nor number.
 *
 * @param tokens the unescaped parts of a JSON pointer (RFC 6901)
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
