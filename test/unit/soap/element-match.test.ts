import { describe, expect, test } from 'vitest';
import type { ElementRule } from '../../../src/soap/element-rules.ts';
import { EnvelopeScanner } from '../../../src/soap/envelope-scanner.ts';
import type { ScanOptions } from '../../../src/soap/scan-plan.ts';

const RULES: readonly ElementRule[] = [
  ...['userId', 'user', 'userName', 'soapUser'].map((local) => ({ kind: 'user' as const, local })),
  ...['appId', 'applicationId', 'sessionId', 'wsSessionId'].map((local) => ({
    kind: 'session' as const,
    local,
  })),
];
const LOOSE: ScanOptions = {
  maxDepth: 6,
  match: 'loose',
  lists: ['appIds'],
  others: ['agent', 'originator', 'participant', 'userIds'],
  wantsOperation: true,
};

function scan(parameters: string, options: Partial<ScanOptions> = {}, rules = RULES) {
  const document = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><m:op xmlns:m="urn:m">${parameters}</m:op></s:Body></s:Envelope>`;
  return new EnvelopeScanner(rules, { ...LOOSE, ...options }).scan(Buffer.from(document), undefined, true);
}

describe('the name of an element', () => {
  test.each([
    'userId',
    'USERID',
    'userid',
    'user_id',
    'USER_ID',
    'User-Id',
    '_userId',
    'userId_',
    'x:userId',
  ])('%s matches userId in a loose comparison', (name) => {
    const open = name.startsWith('x:') ? `${name} xmlns:x="urn:x"` : name;
    expect(scan(`<${open}>MILLER</${name}>`)).toMatchObject({ user: 'MILLER', problem: undefined });
  });

  test.each(['userIdx', 'useri', 'u', 'usérId', 'us', '_', 'userI', 'xuserId', 'user.id'])(
    '%s is not',
    (name) => {
      expect(scan(`<${name}>MILLER</${name}>`)).toMatchObject({ user: undefined, problem: undefined });
    },
  );

  test.each(['USERID', 'user_id', 'User'])('%s does not match in an exact comparison', (name) => {
    expect(scan(`<${name}>MILLER</${name}>`, { match: 'exact' })).toMatchObject({ user: undefined });
  });

  test('may have letters of any script', () => {
    const rules = [{ kind: 'user' as const, local: 'Benützer_Ä' }];
    expect(scan('<BENÜTZERä>A</BENÜTZERä>', {}, rules)).toMatchObject({ user: 'A' });
    expect(scan('<Benutzer>A</Benutzer>', {}, rules)).toMatchObject({ user: undefined });
  });

  test('of the operation in a rule is compared in the same way', () => {
    const rules = [{ kind: 'user' as const, local: 'x', operation: 'O_P' }];
    expect(scan('<x>A</x>', {}, rules)).toMatchObject({ user: 'A', operation: 'op' });
    expect(scan('<x>A</x>', { match: 'exact' }, rules)).toMatchObject({ user: undefined });
  });
});

describe('names in parameters', () => {
  test('are found in structures, down to the configured depth', () => {
    expect(scan('<in><user>A</user></in>')).toMatchObject({ user: 'A' });
    expect(scan('<a><b><user>A</user></b></a>')).toMatchObject({ user: 'A' });
    expect(scan('<a><b><c><user>A</user></c></b></a>')).toMatchObject({ user: undefined });
    expect(scan('<user><userId>A</userId></user>')).toMatchObject({ user: 'A' });
  });

  test('of other people do not count, at any depth', () => {
    const others =
      '<agent>SMITH</agent><participant><userId>JONES</userId><appId>A9</appId></participant>' +
      '<originator><user>X</user></originator><userIds><userId>Y</userId></userIds><USER_IDS><item>Z</item></USER_IDS>';
    expect(scan(others)).toMatchObject({ user: undefined, session: undefined, problem: undefined });
    expect(scan(`${others}<in><user>MILLER</user></in><appId>A1</appId>`)).toMatchObject({
      user: 'MILLER',
      session: 'A1',
    });
  });

  test('of an element that is configured by name are still found', () => {
    const rules = [{ kind: 'user' as const, local: 'agent' }];
    expect(scan('<agent>MILLER</agent>', {}, rules)).toMatchObject({ user: 'MILLER' });
  });

  test('that cannot be user names are passed over', () => {
    const check = (_kind: string, value: string): string | undefined =>
      value === '*' ? 'wildcard' : undefined;
    for (const parameters of [
      '<user>*</user><userId>MILLER</userId>',
      '<userId>*</userId><user>MILLER</user>',
      '<user>MILLER</user><userId>*</userId>',
    ]) {
      expect(scan(parameters, { check })).toMatchObject({ user: 'MILLER', refused: ['wildcard'] });
    }
    expect(scan('<user>*</user>', { check })).toMatchObject({ user: undefined, refused: ['wildcard'] });
  });

  test('that are too long are refused', () => {
    expect(scan(`<user>${'x'.repeat(257)}</user>`)).toMatchObject({ user: undefined, refused: ['length'] });
    expect(scan(`<appId>${'x'.repeat(4097)}</appId>`)).toMatchObject({
      session: undefined,
      refused: ['length'],
    });
  });
});

describe('a list of sessions', () => {
  test.each([
    ['<appIds><item>A1</item></appIds>', 'A1'],
    ['<APP_IDS> <x/><!-- none --> </APP_IDS>', undefined],
    ['<appIds><appId>A1</appId></appIds>', 'A1'],
    ['<appIds><item>A1</item><item>A2</item></appIds>', undefined],
    ['<appIds><appId>A1</appId><appId>A2</appId></appIds>', undefined],
    ['<appIds><item>A1</item><item/></appIds>', undefined],
    ['<appIds><item><id>A1</id></item></appIds>', undefined],
    ['<appIds>A1</appIds>', undefined],
    ['<appIds/>', undefined],
    ['<appIds></appIds><appIds><item>A1</item></appIds>', 'A1'],
    ['<appIds><item>A1</item></appIds><sessionId>S</sessionId>', 'S'],
    ['<sessionId>S</sessionId><appIds><item>A1</item></appIds>', 'S'],
    ['<in><appIds><item><![CDATA[A1]]></item></appIds></in>', 'A1'],
  ])('%s names the session %s', (parameters, session) => {
    expect(scan(parameters)).toMatchObject({ session, problem: undefined });
  });

  test('does not count if lists are not configured', () => {
    expect(scan('<appIds><item>A1</item></appIds>', { lists: [] })).toMatchObject({ session: undefined });
  });

  test('does not hide the user beside it', () => {
    expect(scan('<appIds><item>A1</item></appIds><user>MILLER</user>')).toMatchObject({
      session: 'A1',
      user: 'MILLER',
    });
  });
});
