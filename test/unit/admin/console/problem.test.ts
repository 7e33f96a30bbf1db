import { describe, expect, test } from 'vitest';
import { noAnswer, problemOf } from '../../../../src/admin/console/logic/problem.ts';

const READ = { isChange: false, retryAfter: null };
const CHANGE = { isChange: true, retryAfter: null };

describe('what failed, and what to do next', () => {
  test('a change that met a lost store is never said to be repeated, and a read is', () => {
    const body = { error: 'the store is away' };
    expect(problemOf(503, body, READ).next).toContain('It is tried again.');
    const { next } = problemOf(503, body, CHANGE);
    expect(next).toContain('not repeated by itself');
    expect(next).not.toContain('tried again');
    expect(noAnswer(false, true, 1_000).next).not.toContain('tried again');
  });

  test('a change on an outdated picture names no id of a view, and keeps the present one', () => {
    const error = 'the view has changed since 21.15ed431a: look at the pool again';
    const problem = problemOf(409, { error, view: '22.0a' }, CHANGE);
    expect([problem.text, problem.view]).toEqual([
      'the state of the pool has changed, and nothing was done',
      '22.0a',
    ]);
    expect(problemOf(409, { error: 'MILLER is already bound to b' }, CHANGE).text).toContain('MILLER');
  });

  test('the time to wait is said once', () => {
    const waits = { isChange: true, retryAfter: '2' };
    expect(problemOf(429, { error: 'too many; try again in 2 s' }, waits).next).toBe('');
    expect(problemOf(429, { error: 'too many lists are read' }, waits).next).toBe(
      'Wait 2 s, then try again.',
    );
  });

  test('an answer without an error is shown as it is', () => {
    expect(problemOf(502, ' Bad gateway ', READ).text).toBe('Bad gateway');
    expect(problemOf(502, undefined, READ).text).toBe('the gateway answered with status 502');
  });
});
