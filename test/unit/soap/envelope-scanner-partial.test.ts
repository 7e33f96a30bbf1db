import { describe, expect, test } from 'vitest';
import { fixture, RULES, scan } from './envelope-scanner-support.ts';

describe('the beginning of a body', () => {
  test.each(['subscribe-1.1.xml', 'set-workmode-1.2.xml', 'attached-data.xml'])(
    'is at worst reported as truncated, wherever %s is cut',
    (name) => {
      const whole = fixture(name);
      const found = scan(whole);
      for (let length = 0; length <= whole.length; length++) {
        const { user, session, problem } = scan(whole.subarray(0, length), RULES, { complete: false });
        expect([undefined, 'truncated']).toContain(problem);
        if (problem === undefined)
          expect({ user, session }).toEqual({ user: found.user, session: found.session });
        expect([undefined, found.user]).toContain(user);
      }
    },
  );

  test('yields the names found so far', () => {
    const document = '<Envelope><Body><m><agent>B</agent><sessionId>1</sessionId><x>';
    expect(scan(document, RULES, { complete: false })).toEqual({
      user: 'B',
      session: '1',
      version: undefined,
      problem: 'truncated',
    });
  });

  test('yields no value whose end is missing', () => {
    expect(scan('<Envelope><Body><m><user>AGENT', RULES, { complete: false })).toMatchObject({
      user: undefined,
    });
    expect(scan('<Envelope><Body><m><user>AGENT<', RULES, { complete: false })).toMatchObject({
      user: undefined,
    });
    expect(scan('<Envelope><Body><m><user>AGENT</user', RULES, { complete: false })).toMatchObject({
      user: undefined,
    });
  });
});
