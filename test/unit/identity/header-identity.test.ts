import { describe, expect, test } from 'vitest';
import { HeaderIdentityExtractor } from '../../../src/identity/header-identity.ts';

const EXTRACTOR = new HeaderIdentityExtractor({ userHeader: 'soapuser', sessionCookie: 'WS_SESSION_ID' });

function extract(...headers: [string, string][]) {
  return EXTRACTOR.extract(headers.flat());
}

describe('the header of a request', () => {
  test('names user and session, whatever the case of header names', () => {
    for (const [user, cookie] of [
      ['soapuser', 'cookie'],
      ['SoapUser', 'Cookie'],
      ['SOAPUSER', 'COOKIE'],
    ] as const) {
      expect(extract(['host', 'x'], [user, ' agent01'], [cookie, 'a=b; WS_SESSION_ID=S1']), user).toEqual({
        user: 'AGENT01',
        session: 'S1',
        ambiguous: false,
        ambiguity: undefined,
      });
    }
  });

  test('names the user in UTF-8 or Latin-1', () => {
    const spelled = (encoding: 'utf8' | 'latin1') => Buffer.from('Müller', encoding).toString('latin1');
    expect(extract(['soapuser', spelled('utf8')]).user).toBe('MÜLLER');
    expect(extract(['soapuser', spelled('latin1')]).user).toBe('MÜLLER');
  });

  test('without the two has no names', () => {
    expect(extract(['host', 'x'], ['cookie', 'a=b'])).toEqual({
      user: undefined,
      session: undefined,
      ambiguous: false,
      ambiguity: undefined,
    });
    expect(extract(['soapuser', ''], ['cookie', 'WS_SESSION_ID='])).toMatchObject({
      user: undefined,
      session: undefined,
      ambiguous: false,
    });
  });

  test.each([
    ['different', 'U1', 'U2'],
    ['equal', 'U1', 'U1'],
    ['one of them empty', '', 'U1'],
  ])('with two soapuser headers, %s, is ambiguous and has no user', (_how, first, second) => {
    expect(extract(['soapuser', first], ['cookie', 'WS_SESSION_ID=S1'], ['SoapUser', second])).toEqual({
      user: undefined,
      session: undefined,
      ambiguous: true,
      ambiguity: 'repeated-user-header',
    });
  });

  test('with two sessions is ambiguous, in one Cookie header or in two', () => {
    for (const cookies of [['WS_SESSION_ID=a; WS_SESSION_ID=b'], ['WS_SESSION_ID=a', 'WS_SESSION_ID=b']]) {
      expect(extract(...cookies.map((value): [string, string] => ['Cookie', value]))).toMatchObject({
        session: undefined,
        ambiguity: 'conflicting-cookies',
      });
    }
    expect(
      extract(['cookie', 'x=1'], ['cookie', 'WS_SESSION_ID=a'], ['cookie', 'WS_SESSION_ID=a']),
    ).toMatchObject({
      session: 'a',
      ambiguous: false,
    });
  });

  test('with two sessions beside a user has the user alone, and says that a session was not used', () => {
    for (const cookies of [['WS_SESSION_ID=a; WS_SESSION_ID=b'], ['WS_SESSION_ID=a', 'WS_SESSION_ID=b']]) {
      const fields = cookies.map((value): [string, string] => ['Cookie', value]);
      const expected = {
        user: 'U1',
        session: undefined,
        ambiguous: false,
        refused: { source: 'cookie', reason: 'conflict' },
      };
      expect(extract(['soapuser', 'U1'], ...fields)).toMatchObject(expected);
      expect(extract(...fields, ['soapuser', 'U1'])).toMatchObject(expected);
      expect(extract(['soapuser', 'U'.repeat(257)], ...fields)).toMatchObject({ ambiguous: true });
    }
  });

  test.each([
    ['a session with a TAB', 'WS_SESSION_ID=a\tb', 'characters'],
    ['a session of 4,097 characters', `WS_SESSION_ID=${'a'.repeat(4_097)}`, 'length'],
  ])('does not use %s', (_what, cookie, reason) => {
    const refused = { source: 'cookie', reason };
    expect(extract(['cookie', cookie])).toMatchObject({ user: undefined, session: undefined, refused });
    expect(extract(['cookie', cookie], ['soapuser', 'U1'])).toMatchObject({ user: 'U1', refused });
  });

  test.each([
    ['a TAB', 'A\tB', 'characters'],
    ['257 characters', 'x'.repeat(257), 'length'],
  ])('does not use a user with %s', (_what, user, reason) => {
    const refused = { source: 'header', reason };
    expect(extract(['soapuser', user])).toMatchObject({ user: undefined, refused });
    expect(extract(['soapuser', user], ['cookie', 'WS_SESSION_ID=a'])).toMatchObject({
      session: 'a',
      refused,
    });
  });

  test.each(['soapuser', 'close, SoapUser', 'keep-alive ,\tCOOKIE', 'cookie'])(
    'is ambiguous when Connection is %j: the instance would not get the routing header',
    (connection) => {
      expect(extract(['Connection', connection], ['soapuser', 'U1']).ambiguity).toBe('hop-by-hop');
    },
  );

  test('may list any other header in Connection', () => {
    expect(
      extract(['Connection', 'close, TE, xsoapuser, soapuser2, cookies'], ['soapuser', 'U1']),
    ).toMatchObject({
      user: 'U1',
      ambiguous: false,
    });
  });

  test('is read only for the configured names', () => {
    const other = new HeaderIdentityExtractor({ userHeader: 'X_Agent-1' });
    expect(other.extract(['x_agent-1', 'U1', 'soapuser', 'U2', 'cookie', 'WS_SESSION_ID=S'])).toMatchObject({
      user: 'U1',
      session: undefined,
    });
    expect(other.extract(['Connection', 'cookie, soapuser']).ambiguous).toBe(false);
    // These two differ from the configured name by the bit that makes letters lower case.
    expect(other.extract(['x\u007fagent-1', 'U1']).user).toBeUndefined();
    expect(other.extract(['x_agent\r1', 'U1']).user).toBeUndefined();
    expect(new HeaderIdentityExtractor({}).extract(['', 'U1', 'soapuser', 'U2']).user).toBeUndefined();
  });

  test('leaves nothing behind for the next one', () => {
    extract(['soapuser', 'U1'], ['cookie', 'WS_SESSION_ID=S1']);
    expect(extract(['cookie', 'WS_SESSION_ID=S2'])).toMatchObject({ user: undefined, session: 'S2' });
  });
});
