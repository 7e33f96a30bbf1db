/** A regular expression of any engine. */
export interface Capture {
  exec(text: string): readonly (string | undefined)[] | null;
}

/** Finds the incarnation by the only capture group of a pattern. */
export function byPattern(pattern: Capture): (page: string) => string | undefined {
  return (page) => unlessEmpty(pattern.exec(page)?.[1]);
}

/**
 * Finds the incarnation in a JSON page. Returns `undefined` if the page is no JSON, or the value neither text nor
 * number.
 *
 * @param tokens the unescaped parts of a JSON pointer (RFC 6901)
 */
export function byPointer(tokens: readonly string[]): (page: string) => string | undefined {
  return (page) => {
    let value: unknown;
    try {
      value = JSON.parse(page);
    } catch {
      return undefined;
    }
    for (const token of tokens) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return undefined;
      value = (value as Record<string, unknown>)[token];
    }
    return typeof value === 'string' || typeof value === 'number' ? unlessEmpty(String(value)) : undefined;
  };
}

function unlessEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
