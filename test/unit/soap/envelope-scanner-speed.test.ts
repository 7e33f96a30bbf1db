import { describe, expect, test } from 'vitest';
import { EnvelopeScanner } from '../../../src/soap/envelope-scanner.ts';
import { quickestMs } from '../../support/quickest.ts';
import { RULES, scan } from './envelope-scanner-support.ts';

describe('the search is quick in any body', () => {
  function blockedMs(document: Buffer, rules = RULES): Promise<number> {
    const scanner = new EnvelopeScanner(rules, { maxDepth: 4 });
    return quickestMs(() => scanner.scan(document, undefined, true));
  }
  const open = '<Envelope><Body><m>';
  const close = '</m></Body></Envelope>';

  test('with elements nested 100,000 deep', async () => {
    const deep = '<a>'.repeat(100_000) + '</a>'.repeat(100_000);
    const document = Buffer.from(`${open}${deep}<user>A</user>${close}`);
    expect(await blockedMs(document)).toBeLessThan(50);
    expect(scan(document)).toMatchObject({ user: 'A', problem: undefined });
  });

  test.each([
    [
      'a bomb of entities',
      `<!DOCTYPE a [<!ENTITY b "${'c'.repeat(1000)}">${'<!ENTITY d "&b;&b;">'.repeat(1000)}]>`,
    ],
    ['many comments', `${open}${'<!---->'.repeat(30_000)}`],
    ['many quotes', `${open}<a ${`b="'" c='"' `.repeat(20_000)}`],
    ['many left angle brackets', '<'.repeat(200_000)],
    ['many CDATA sections in a value', `${open}<user>${'<![CDATA[x]]>'.repeat(15_000)}</user>${close}`],
    [
      'many references in a value',
      `${open}${'<user>&#x10FFFF;</user>'.repeat(100)}<user>${'&amp;'.repeat(40_000)}</user>`,
    ],
    ['many ampersands in a value', `${open}<user>${'&'.repeat(200_000)}</user>`],
    ['many values that do not count', `${open}${'<user> </user>'.repeat(15_000)}${close}`],
    ['one very long name', `${open}<${'a'.repeat(200_000)}>`],
    ['one very long value', `${open}<user>${'ü'.repeat(100_000)}</user>${close}`],
  ])('with %s', async (_what, document) => {
    expect(await blockedMs(Buffer.from(document))).toBeLessThan(50);
  });

  test('with many namespaces and many elements that ask for them', async () => {
    const declarations = Array.from(
      { length: 128 },
      (_, index) => `xmlns:${'p'.repeat(30)}${index + 100}="u"`,
    );
    const elements = `<${'p'.repeat(30)}999:user>A</${'p'.repeat(30)}999:user>`.repeat(700);
    const document = Buffer.from(
      `<Envelope ${declarations.join(' ')}><Body><m>${elements}</m></Body></Envelope>`,
    );
    expect(await blockedMs(document, [{ kind: 'user', local: 'user', namespace: 'urn:none' }])).toBeLessThan(
      50,
    );
  });
});
