import { describe, expect, test } from 'vitest';
import type { ElementRule } from '../../../src/soap/element-rules.ts';
import { EnvelopeScanner } from '../../../src/soap/envelope-scanner.ts';
import { envelope, fixture, RULES, SOAP_11, SOAP_12, scan } from './envelope-scanner-support.ts';

describe('an envelope', () => {
  test('of SOAP 1.1 names user, session and version', () => {
    expect(scan(fixture('subscribe-1.1.xml'))).toEqual({
      user: 'AGENT01',
      session: '005056A509D41EE194DF0F559163A0DA',
      version: '1.1',
      problem: undefined,
    });
  });

  test('of SOAP 1.2 names user and version', () => {
    expect(scan(fixture('set-workmode-1.2.xml'))).toEqual({
      user: 'müller',
      session: undefined,
      version: '1.2',
      problem: undefined,
    });
  });

  test('of an unknown namespace is still searched', () => {
    const document = envelope('<user>A</user>', { namespace: 'urn:other' });
    expect(scan(document)).toMatchObject({ user: 'A', version: undefined, problem: undefined });
  });

  test('in the default namespace tells its version', () => {
    expect(scan(`<Envelope xmlns='${SOAP_12}'><Body/></Envelope>`)).toMatchObject({ version: '1.2' });
  });

  test('without a Body has no names and is no error', () => {
    expect(scan(`<Envelope xmlns="${SOAP_11}"/>`)).toMatchObject({ version: '1.1', problem: undefined });
  });

  test('tells its version even without rules', () => {
    expect(scan(envelope('<user>A</user>'), [])).toEqual({
      user: undefined,
      session: undefined,
      version: '1.1',
      problem: undefined,
    });
  });
});

describe('precedence', () => {
  test('is the order of the rules, wherever each element stands', () => {
    expect(scan(envelope('<agent>B</agent><user>A</user>'))).toMatchObject({ user: 'A' });
    expect(scan(envelope('<user>A</user><agent>B</agent>'))).toMatchObject({ user: 'A' });
    const header = '<s:Header><user>A</user></s:Header>';
    expect(scan(envelope('<agent>B</agent>', { header }))).toMatchObject({ user: 'A' });
  });

  test('is separate for each kind', () => {
    const document = envelope('<appId>2</appId><agent>B</agent><sessionId>1</sessionId>');
    expect(scan(document)).toMatchObject({ user: 'B', session: '1' });
  });

  test('of two elements of one rule is with the first', () => {
    expect(scan(envelope('<agent>B</agent><agent>C</agent>'))).toMatchObject({ user: 'B' });
  });

  test('passes over an element that has no value', () => {
    expect(scan(envelope('<user> </user><agent>B</agent>'))).toMatchObject({ user: 'B' });
  });

  test('allows one element to be both user and session', () => {
    const rules: ElementRule[] = [
      { kind: 'user', local: 'id' },
      { kind: 'session', local: 'id' },
    ];
    expect(scan(envelope('<id>X</id>'), rules)).toMatchObject({ user: 'X', session: 'X' });
  });
});

describe('a search ends', () => {
  test('once nothing better can be found, whatever follows', () => {
    const begin = `<s:Envelope xmlns:s="${SOAP_11}"><s:Body><m><user>A</user><sessionId>1</sessionId>`;
    expect(scan(`${begin}<broken <<<`)).toMatchObject({ user: 'A', session: '1', problem: undefined });
  });

  test('at the end of the Body, whatever follows', () => {
    const document = `<Envelope><Body><m><agent>B</agent></m></Body><user>A</user><Body><user>C</user></Body> <<<`;
    expect(scan(document)).toMatchObject({ user: 'B', problem: undefined });
  });

  test('no earlier while a rule of higher precedence may match', () => {
    expect(scan(`<Envelope><Body><m><agent>B</agent><sessionId>1</sessionId></m><<<`)).toMatchObject({
      problem: 'malformed',
    });
  });
});

describe('an element matches', () => {
  test('with any namespace prefix', () => {
    for (const prefix of ['', 'm:', 'soap1:', 'ns0:', 'ünï:', 'a-b.c_d:']) {
      const document = envelope(`<${prefix}user>A</${prefix}user>`);
      expect(scan(document), prefix).toMatchObject({ user: 'A', problem: undefined });
    }
  });

  test('by its whole local name, with the same case', () => {
    const document = envelope(
      '<users>1</users><use>2</use><User>3</User><user.x>4</user.x><user:id>5</user:id>',
    );
    expect(scan(document)).toMatchObject({ user: undefined, problem: undefined });
  });

  test('at the depth of the operation and of its parameters, in Header and Body, and nowhere else', () => {
    expect(scan(`<Envelope><Body><user>A</user></Body></Envelope>`)).toMatchObject({ user: 'A' });
    expect(scan(`<Envelope><Header><t><user>A</user></t></Header><Body/></Envelope>`)).toMatchObject({
      user: 'A',
    });
    expect(scan(`<Envelope><user>A</user><Body/></Envelope>`).user).toBeUndefined();
    expect(scan(`<Envelope><Other><user>A</user></Other><Body/></Envelope>`).user).toBeUndefined();
    expect(scan(envelope('<x><user>A</user></x>')).user).toBeUndefined();
    expect(scan(envelope('<x><y><z><user>A</user></z></y></x>')).user).toBeUndefined();
  });

  test('down to the configured depth', () => {
    const document = envelope('<x><user>A</user></x>');
    expect(scan(document, RULES, { maxDepth: 5 })).toMatchObject({ user: 'A' });
    expect(scan(envelope('<user>A</user>'), RULES, { maxDepth: 3 }).user).toBeUndefined();
  });

  test('inside the operation that its rule names, not as the operation itself', () => {
    const rules: ElementRule[] = [{ kind: 'user', local: 'user', operation: 'logon' }];
    const body = (operations: string, header = '') =>
      scan(`<Envelope>${header}<Body>${operations}</Body></Envelope>`, rules).user;
    expect(body('<a><user>A</user></a><x:logon><user>B</user></x:logon>')).toBe('B');
    expect(body('<logons><user>A</user></logons>')).toBeUndefined();
    expect(body('<a/>', '<Header><logon><user>A</user></logon></Header>')).toBeUndefined();
    expect(
      scan('<Envelope><Body><user>A</user></Body></Envelope>', [
        { kind: 'user', local: 'user', operation: 'user' },
      ]).user,
    ).toBeUndefined();
  });

  test('in the namespace that its rule names, wherever that is declared', () => {
    const rules: ElementRule[] = [{ kind: 'user', local: 'user', namespace: 'urn:a&b' }];
    const body = (parameters: string, attributes = '') =>
      scan(
        `<Envelope xmlns:p="urn:a&amp;b"><Body><op ${attributes}>${parameters}</op></Body></Envelope>`,
        rules,
      ).user;
    expect(body('<p:user>A</p:user>')).toBe('A');
    expect(body('<user>A</user>', 'xmlns="urn:a&#38;b"')).toBe('A');
    expect(body(`<user xmlns = 'urn:a&#x26;b' x=">">A</user>`)).toBe('A');
    expect(body('<user>A</user>')).toBeUndefined();
    expect(body('<q:user>A</q:user>')).toBeUndefined();
    expect(body('<p:user>A</p:user>', 'xmlns:p="urn:other"')).toBeUndefined();
    expect(body('<x xmlns:p="urn:other"/><p:user>A</p:user>')).toBe('A');
    expect(body('<x xmlns="urn:a&amp;b"/><user>A</user>')).toBeUndefined();
    expect(body('<user xmlns="">A</user>', 'xmlns="urn:a&amp;b"')).toBeUndefined();
  });

  test('in no namespace, if its rule says so', () => {
    const rules: ElementRule[] = [{ kind: 'user', local: 'user', namespace: '' }];
    expect(scan(envelope('<user>A</user>'), rules)).toMatchObject({ user: 'A' });
    expect(scan(envelope('<m:user>A</m:user>'), rules).user).toBeUndefined();
    expect(scan(envelope('<user xmlns="urn:x">A</user>'), rules).user).toBeUndefined();
  });

  test('with a local name beyond ASCII', () => {
    expect(scan(envelope('<benützer>A</benützer>'), [{ kind: 'user', local: 'benützer' }]).user).toBe('A');
  });
});

describe('a look-alike does not match', () => {
  test('in attached data, be it CDATA, escaped, parsed or a comment', () => {
    expect(scan(fixture('attached-data.xml'))).toEqual({
      user: 'AGENT01',
      session: 'SID%3aANON%3acrmapp1_CRP_00%3aXkq3-NEW==',
      version: '1.1',
      problem: undefined,
      isDeeper: true,
    });
  });

  test('in comments, instructions and attributes', () => {
    const document = envelope(
      `<!-- > -- <user>1</user> --><?pi " <user>2</user> ?><x a="!-->" b='>user>3/user>' c='"'/><user d="a>b" e='/>'>A</user>`,
    );
    expect(scan(document)).toMatchObject({ user: 'A', problem: undefined });
  });
});

describe('a scanner carries nothing over', () => {
  test('from one request to the next', () => {
    const scanner = new EnvelopeScanner(RULES, { maxDepth: 4 });
    const first = Buffer.from(envelope('<user>A</user><sessionId>1</sessionId>'));
    const cut = Buffer.from(`<s:Envelope xmlns:s="${SOAP_12}"><s:Body><m><user>LEFT`);
    const second = Buffer.from('<Envelope><Body><m>OVER</m></Body></Envelope>');
    expect(scanner.scan(first, undefined, true)).toMatchObject({ user: 'A', session: '1' });
    scanner.scan(cut, undefined, false);
    expect(scanner.scan(second, undefined, true)).toEqual({
      user: undefined,
      session: undefined,
      version: undefined,
      problem: undefined,
    });
    expect(scanner.scan(first, undefined, true)).toMatchObject({ user: 'A', session: '1' });
  });
});

describe('the operation', () => {
  const operation = (document: string | Buffer, complete = true) =>
    new EnvelopeScanner([], { maxDepth: 3, wantsOperation: true }).scan(
      Buffer.from(document),
      undefined,
      complete,
    ).operation;

  test.each([
    ['subscribe-1.1.xml', 'subscribe'],
    ['set-workmode-1.2.xml', 'setCurrentWorkmode'],
  ])('of %s is the local name of the first element in the Body', (name, expected) => {
    expect(operation(fixture(name))).toBe(expected);
  });

  test('is not a block of the Header, a parameter or a second element', () => {
    const header = '<s:Header><m:logon xmlns:m="urn:m"><x/></m:logon></s:Header>';
    expect(operation(envelope('<logon/>', { header }))).toBe('op');
    expect(operation(`<Envelope xmlns="${SOAP_11}"><Body><a/><b/></Body></Envelope>`)).toBe('a');
  });

  test('is missing in an empty Body and in other documents', () => {
    expect(operation(`<Envelope xmlns="${SOAP_11}"><Body/></Envelope>`)).toBeUndefined();
    expect(operation('<logon/>')).toBeUndefined();
    expect(operation('logon')).toBeUndefined();
  });

  test('is found in the beginning of a body, as soon as its name has arrived', () => {
    const document = envelope('<user>A</user>');
    const end = document.indexOf('m:op') + 'm:op xmlns:m="urn:m">'.length;
    expect(operation(document.slice(0, end - 1), false)).toBeUndefined();
    expect(operation(document.slice(0, end), false)).toBe('op');
  });

  test('is found beside the names, wherever they are', () => {
    const header = '<s:Header><user>A</user></s:Header>';
    const rules: ElementRule[] = [{ kind: 'user', local: 'user' }];
    const scanner = new EnvelopeScanner(rules, { maxDepth: 4, wantsOperation: true });
    const found = { user: 'A', operation: 'op' };
    expect(scanner.scan(Buffer.from(envelope('', { header })), undefined, true)).toMatchObject(found);
    expect(scanner.scan(Buffer.from(envelope('<user>A</user>')), undefined, true)).toMatchObject(found);
  });
});
