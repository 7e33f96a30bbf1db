/** Finds an incarnation by the one capture group of a pattern. */
export function byPattern(pattern: RegExp): (page: string) => string {
  return (page) => pattern.exec(page)?.[1] ?? '';
}

/**
 * Finds an incarnation in a JSON page by a JSON pointer (RFC 6901). What is
 * neither text nor a number, and a page that is not JSON, tell nothing.
 */
export function byPointer(pointer: string): (page: string) => string {
  const path = pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  return (page) => {
    let value: unknown;
    try {
      value = JSON.parse(page);
    } catch {
      return '';
    }
    for (const token of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return '';
      value = (value as Record<string, unknown>)[token];
    }
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
}
