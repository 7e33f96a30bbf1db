import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { originForm, PoolTable } from '../../../src/proxy/admission.ts';

const segment = fc.string({
  unit: fc.constantFrom('a', '.', '%2e', '%2E', '%2f', '%5c', ';', '%3b', '\\', '%', ' ', '-'),
  maxLength: 6,
});
const target = fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => `/${segments.join('/')}`);

/** A path as a lenient instance could read it: decoded, without parameters, with backslashes as slashes. */
function lenientSegments(path: string): string[] {
  return path
    .replace(/%2e/gi, '.')
    .replace(/%2f/gi, '/')
    .replace(/%5c/gi, '\\')
    .replace(/%3b/gi, ';')
    .split(/[/\\]/)
    .map((one) => one.split(';', 1)[0] as string);
}

describe('the path of a target that is forwarded', () => {
  test('is that of the request, unchanged', () => {
    fc.assert(
      fc.property(target, (given) => {
        const found = originForm(given);
        if (found !== undefined) expect(found.path).toBe(given);
      }),
    );
  });

  test('has no dot segment, even to an instance that decodes it and cuts parameters off', () => {
    fc.assert(
      fc.property(target, (given) => {
        const found = originForm(given);
        if (found === undefined) return;
        expect(lenientSegments(found.path)).not.toContain('..');
        expect(lenientSegments(found.path)).not.toContain('.');
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['percent-encoded', '%2e%2E', '.%2e', '%2e'],
    ['percent-encoded twice and more', '%252e%252e', '.%25252E', '%25%32%65%2e'],
    ['in the way of IIS', '%u002e%u002E', '%uFF0E%uff0e', '.%u2024', '%u2025'],
    [
      'in too many bytes of UTF-8',
      '%c0%ae%c0%ae',
      '%e0%80%ae.',
      '%f0%80%80%ae.',
      '%f8%80%80%80%ae.',
      '%c0%2e.',
    ],
    ['in wide characters', '%ef%bc%8e%ef%bc%8e', '.%EF%B9%92'],
    ['with blanks around', '..%20', '%20..', '..%00', '..%09', '.%0a'],
    ['with what servers cut off', '..;x', '..%3bx', '..%3fx', '..%253b'],
  ])('is refused for dot segments %s', (_how, ...segments) => {
    for (const one of segments)
      for (const slash of ['/', '%2f', '%5C', '%255c', '%u2215', '%uff0f', '%c0%af', '%c1%9c', '%ef%bc%bc'])
        expect(originForm(`/ici${slash}${one}${slash}admin`), slash + one).toBeUndefined();
  });

  test('is not refused for escapes that hide nothing', () => {
    for (const given of [
      '/%C3%A4/%20/100%25',
      '/a%20b/%e4',
      '/%2',
      '/%zz',
      '/%u12',
      '/a%2fb',
      '/x%2ey/.a%2e',
    ])
      expect(originForm(given), given).toEqual({ path: given });
  });

  test('is refused if it is encoded too often to be read', () => {
    expect(originForm(`/%${'25'.repeat(9)}2e/`)).toBeUndefined();
  });

  test('is not refused for dots that are no segment, nor for its query', () => {
    for (const given of ['/...', '/a..b', '/.a', '/a.', '/a?b=/../c', '/a?..', '/a%2e%2eb']) {
      expect(originForm(given), given).toEqual({ path: given });
    }
  });
});

test('a pool is found by its host, with a port or the dot of a fully qualified name or both', () => {
  const pools = new PoolTable([{ match: { hosts: ['ici.example.com'], paths: ['/'] }, pool: 'ici' }]);
  for (const host of ['ici.example.com', 'ICI.example.com.', 'ici.example.com:8080', 'ici.example.com.:8080'])
    expect(pools.find(host, '/'), host).toBe('ici');
  for (const host of ['ici.example.com..', '.ici.example.com', 'ici.example', ''])
    expect(pools.find(host, '/'), host).toBeUndefined();
});
