import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { originForm } from '../../../src/proxy/admission.ts';

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

  test('is not refused for dots that are no segment, nor for its query', () => {
    for (const given of ['/...', '/a..b', '/.a', '/a.', '/a?b=/../c', '/a?..', '/a%2e%2eb']) {
      expect(originForm(given), given).toEqual({ path: given });
    }
  });
});
