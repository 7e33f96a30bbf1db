import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERRORS } from '../../../src/core/errors.ts';
import type { FailureKind } from '../../../src/core/failure.ts';
import { FAILURES } from '../../../src/core/failure.ts';
import { observe, UNOBSERVED } from '../../../src/core/health.ts';
import type { Name } from '../../../src/core/identity.ts';
import { nameKey, namesOf, parseNameKey } from '../../../src/core/identity.ts';
import type { InstanceState } from '../../../src/core/instance.ts';
import { isAssignable, isUsable } from '../../../src/core/instance.ts';
import { allows, isCurrent } from '../../../src/core/target.ts';
import { aFailoverView, anInstance, aView } from '../../support/instances.ts';

describe('health', () => {
  const thresholds = { rise: 2, fall: 3 };
  const fold = (results: readonly boolean[]) =>
    results.reduce((record, passed) => observe(record, passed, thresholds), UNOBSERVED);

  test('the first result decides at once', () => {
    expect(fold([true]).state).toBe('up');
    expect(fold([false]).state).toBe('down');
  });

  test('an instance goes down after the configured number of failures in a row, not before', () => {
    expect(fold([true, false, false]).state).toBe('up');
    expect(fold([true, false, false, false]).state).toBe('down');
  });

  test('an instance comes up after the configured number of passes in a row, not before', () => {
    expect(fold([false, true]).state).toBe('down');
    expect(fold([false, true, true]).state).toBe('up');
  });

  test('one result of the other kind restarts the count', () => {
    expect(fold([true, false, false, true, false, false]).state).toBe('up');
  });

  test('the verdict changes only after a full run of contrary results', () => {
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

describe('the requests that an instance may take', () => {
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
  const miller = { kind: 'user', value: 'MILLER' } as const;
  const bound = (incarnation = '', root?: Name) => ({
    instance: 'a',
    incarnation,
    ...(root === undefined ? {} : { root }),
  });

  test('a bound agent goes to its instance while it is usable', () => {
    expect(allows(aView(anInstance()), bound())).toBe(true);
    expect(allows(aView(anInstance({ admin: 'draining' })), bound())).toBe(true);
    expect(allows(aView(anInstance({ quarantined: true })), bound())).toBe(true);
  });

  test('a bound agent moves when its instance is down, disabled or gone', () => {
    expect(allows(aView(anInstance({ health: 'down' })), bound())).toBe(false);
    expect(allows(aView(anInstance({ admin: 'disabled' })), bound())).toBe(false);
    expect(allows(aView(anInstance({ id: 'b' })), bound())).toBe(false);
  });

  test('a binding to another incarnation of the instance is void', () => {
    const restarted = anInstance({ incarnation: '2', past: ['1'] });
    expect(allows(aView(restarted), bound('1'))).toBe(false);
    expect(allows(aView(restarted), bound('2'))).toBe(true);
  });

  test('without a known incarnation on both sides no binding is void', () => {
    expect(allows(aView(anInstance({ incarnation: '2' })), bound(''))).toBe(true);
    expect(allows(aView(anInstance()), bound('1'))).toBe(true);
  });

  test('in a failover pool only the active instance counts', () => {
    const both = [anInstance(), anInstance({ id: 'b' })];
    expect(allows(aFailoverView('a', ...both), bound())).toBe(true);
    expect(allows(aFailoverView('b', ...both), bound())).toBe(false);
  });

  test('an agent who is moved may go only to the new instance', () => {
    const view = { ...aView(anInstance(), anInstance({ id: 'b' })), moving: new Map([['uMILLER', 'b']]) };
    expect(allows(view, bound('', miller))).toBe(false);
    expect(allows(view, { instance: 'b', incarnation: '', root: miller })).toBe(true);
    expect(allows(view, bound('', { kind: 'user', value: 'SMITH' }))).toBe(true);
  });

  test('a cached binding is outdated once its instance could not serve', () => {
    const view = aView(anInstance({ lostAt: 7 }));
    expect([7, 8].map((epoch) => isCurrent(view, 'a', epoch))).toEqual([false, true]);
    expect(isCurrent(view, 'gone', 8)).toBe(false);
  });
});

describe('instances that may take new agents', () => {
  test('are those in quarantine only while there is no other', () => {
    const returned = anInstance({ quarantined: true });
    const ids = (...instances: InstanceState[]) => aView(...instances).assignable.map(({ id }) => id);
    expect(ids(returned, anInstance({ id: 'b' }))).toEqual(['b']);
    expect(ids(returned, anInstance({ id: 'b', health: 'down' }))).toEqual(['a']);
  });

  test('are, in a failover pool, the active instance, whatever its weight', () => {
    const view = aFailoverView('b', anInstance(), anInstance({ id: 'b', weight: 0 }));
    expect(view.assignable.map(({ id }) => id)).toEqual(['b']);
  });
});

describe('names', () => {
  const none = {
    user: undefined,
    session: undefined,
    address: undefined,
    userIsFound: false,
    sessionIsFound: false,
  };

  test('the user comes before the session', () => {
    expect(namesOf({ ...none, user: 'U', session: 'S' }).map(({ kind }) => kind)).toEqual([
      'user',
      'session',
    ]);
  });

  test('the client address is never an alias: agents behind one address share nothing else', () => {
    expect(namesOf({ ...none, user: 'U', address: '10.0.0.1' }).map(({ kind }) => kind)).toEqual(['user']);
    expect(namesOf({ ...none, address: '10.0.0.1' }).map(({ kind }) => kind)).toEqual(['address']);
  });

  test('a key leads back to its name, and keys of different kinds differ', () => {
    expect(parseNameKey(nameKey('session', 'u1'))).toEqual({ kind: 'session', value: 'u1' });
    expect(nameKey('user', 'x')).not.toBe(nameKey('session', 'x'));
    expect(parseNameKey('?x')).toBeUndefined();
  });
});

describe('failures and errors', () => {
  test('only unsent requests are tried again', () => {
    const retried = Object.entries(FAILURES).filter(([, { mayRetry }]) => mayRetry);
    expect(retried.map(([kind]) => kind)).toEqual(['connect-failure'] satisfies FailureKind[]);
  });

  test('a departed client is no failure of an instance', () => {
    expect(FAILURES['client-aborted'].hastensProbe).toBe(false);
  });

  test('messages for clients name no address and no software', () => {
    for (const { message } of Object.values(ERRORS))
      expect(message).not.toMatch(/\d{2,}|redis|undici|node|http:/i);
  });
});
