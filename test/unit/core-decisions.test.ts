import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { standingOf } from '../../src/core/binding.ts';
import { ERRORS } from '../../src/core/errors.ts';
import type { FailureKind } from '../../src/core/failure.ts';
import { FAILURES } from '../../src/core/failure.ts';
import { observe, UNOBSERVED } from '../../src/core/health.ts';
import { aliasesOf, nameKey, parseNameKey } from '../../src/core/identity.ts';
import { isAssignable, isUsable } from '../../src/core/instance.ts';
import { judge, nextInLine } from '../../src/core/route.ts';
import { anInstance, aView } from '../support/instances.ts';

describe('health', () => {
  const thresholds = { rise: 2, fall: 3 };
  const fold = (results: readonly boolean[]) =>
    results.reduce((record, passed) => observe(record, passed, thresholds), UNOBSERVED);

  test('the first result decides at once', () => {
    expect(fold([true]).state).toBe('up');
    expect(fold([false]).state).toBe('down');
  });

  test('an instance falls after as many failures in a row as configured, not before', () => {
    expect(fold([true, false, false]).state).toBe('up');
    expect(fold([true, false, false, false]).state).toBe('down');
  });

  test('an instance rises after as many passes in a row as configured, not before', () => {
    expect(fold([false, true]).state).toBe('down');
    expect(fold([false, true, true]).state).toBe('up');
  });

  test('one result of the other kind starts the count anew', () => {
    expect(fold([true, false, false, true, false, false]).state).toBe('up');
  });

  test('the verdict changes only on a whole streak against it', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }), (results) => {
        let record = observe(UNOBSERVED, results[0] as boolean, thresholds);
        for (let i = 1; i < results.length; i += 1) {
          const next = observe(record, results[i] as boolean, thresholds);
          if (next.state !== record.state) {
            const needed = next.state === 'up' ? thresholds.rise : thresholds.fall;
            const streak = results.slice(i - needed + 1, i + 1);
            expect(streak).toEqual(Array.from({ length: needed }, () => next.state === 'up'));
          }
          record = next;
        }
      }),
      { seed: 7, numRuns: 500 },
    );
  });
});

describe('what an instance may take', () => {
  test('a draining instance keeps its bound agents and takes no new ones', () => {
    const draining = anInstance({ admin: 'draining' });
    expect([isUsable(draining), isAssignable(draining)]).toEqual([true, false]);
  });

  test('a disabled or down instance takes nothing', () => {
    for (const instance of [anInstance({ admin: 'disabled' }), anInstance({ health: 'down' })]) {
      expect([isUsable(instance), isAssignable(instance)]).toEqual([false, false]);
    }
  });

  test('an instance without weight keeps its bound agents and takes no new ones', () => {
    const weightless = anInstance({ weight: 0 });
    expect([isUsable(weightless), isAssignable(weightless)]).toEqual([true, false]);
  });
});

describe('a binding against the view', () => {
  const bound = (incarnation = '') => ({ instance: 'a', incarnation });

  test('a bound agent goes to its instance while that is usable', () => {
    expect(judge(aView(anInstance()), bound())).toBe('forward');
    expect(judge(aView(anInstance({ admin: 'draining' })), bound())).toBe('forward');
  });

  test('a bound agent moves when its instance is down, disabled or gone', () => {
    expect(judge(aView(anInstance({ health: 'down' })), bound())).toBe('rebind');
    expect(judge(aView(anInstance({ admin: 'disabled' })), bound())).toBe('rebind');
    expect(judge(aView(anInstance({ id: 'b' })), bound())).toBe('rebind');
  });

  test('a binding to a life that has ended is void', () => {
    const restarted = anInstance({ incarnation: '2', past: ['1'] });
    expect(judge(aView(restarted), bound('1'))).toBe('rebind');
    expect(judge(aView(restarted), bound('2'))).toBe('forward');
  });

  test('a binding to a life that the view has not heard of calls for a fresh look, not for a move', () => {
    expect(standingOf(bound('3'), anInstance({ incarnation: '2', past: ['1'] }))).toBe('doubtful');
    expect(judge(aView(anInstance({ incarnation: '2' })), bound('3'))).toBe('refresh');
  });

  test('where the life is not known on either side, nothing is void', () => {
    expect(judge(aView(anInstance({ incarnation: '2' })), bound(''))).toBe('forward');
    expect(judge(aView(anInstance()), bound('1'))).toBe('forward');
  });
});

describe('the next in line of a failover pool', () => {
  test('is the lowest priority number among those that are up and enabled', () => {
    const view = aView(
      anInstance({ id: 'a', priority: 1, health: 'down' }),
      anInstance({ id: 'b', priority: 3 }),
      anInstance({ id: 'c', priority: 2 }),
      anInstance({ id: 'd', priority: 0, admin: 'draining' }),
    );
    expect(nextInLine(view)?.id).toBe('c');
  });

  test('may be an instance without weight, since weights only spread', () => {
    expect(nextInLine(aView(anInstance({ weight: 0 })))?.id).toBe('a');
  });

  test('is nobody when nobody is up', () => {
    expect(nextInLine(aView(anInstance({ health: 'unknown' })))).toBeUndefined();
  });
});

describe('names', () => {
  const none = { user: undefined, session: undefined, address: undefined };

  test('the user comes before the session', () => {
    expect(aliasesOf({ ...none, user: 'U', session: 'S' }).map(({ kind }) => kind)).toEqual([
      'user',
      'session',
    ]);
  });

  test('the client address is never an alias: agents behind one address share nothing else', () => {
    expect(aliasesOf({ ...none, user: 'U', address: '10.0.0.1' }).map(({ kind }) => kind)).toEqual(['user']);
    expect(aliasesOf({ ...none, address: '10.0.0.1' }).map(({ kind }) => kind)).toEqual(['address']);
  });

  test('a key leads back to its name, and keys of different kinds never meet', () => {
    expect(parseNameKey(nameKey('session', 'u1'))).toEqual({ kind: 'session', value: 'u1' });
    expect(nameKey('user', 'x')).not.toBe(nameKey('session', 'x'));
    expect(parseNameKey('?x')).toBeUndefined();
  });
});

describe('failures and errors', () => {
  test('nothing is tried again but what was not sent', () => {
    const retried = Object.entries(FAILURES).filter(([, { mayRetry }]) => mayRetry);
    expect(retried.map(([kind]) => kind)).toEqual(['connect-failure'] satisfies FailureKind[]);
  });

  test('a departed client is nobody’s fault', () => {
    expect(FAILURES['client-aborted'].hastensProbe).toBe(false);
  });

  test('what is told to clients names no address and no software', () => {
    for (const { message } of Object.values(ERRORS))
      expect(message).not.toMatch(/\d{2,}|redis|undici|node|http:/i);
  });
});
