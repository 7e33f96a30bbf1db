import fc from 'fast-check';
import { XMLParser } from 'fast-xml-parser';
import { expect, test } from 'vitest';
import type { ElementRule } from '../../src/soap/element-rules.ts';
import { EnvelopeScanner } from '../../src/soap/envelope-scanner.ts';

/*
 * The scanner must find the same as a parser that builds a tree. The tree is read
 * below in the slow and obvious way, by the documented rules of the configuration.
 */

const RULES: ElementRule[] = [
  { kind: 'user', local: 'user', operation: 'logon' },
  { kind: 'user', local: 'user', namespace: 'urn:a&b' },
  { kind: 'user', local: 'user' },
  { kind: 'user', local: 'agent' },
  { kind: 'session', local: 'session', namespace: '' },
  { kind: 'session', local: 'appId' },
];
const MAX_DEPTH = 4;

// --- envelopes -------------------------------------------------------------

const LOCAL = fc.constantFrom(
  'user',
  'agent',
  'session',
  'appId',
  'logon',
  'users',
  'x',
  'Body',
  'User',
  'ä-1',
);
const PREFIX = fc.constantFrom('', '', 'p:', 'q:', 'SOAP-ENV:', 'ü:');
const SPACE = fc.constantFrom(' ', '\n', '\t', '  ', '\r\n');
const MAYBE_SPACE = fc.constantFrom('', '', ' ', '\n\t');

const TEXT = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[A-Za-z0-9 ._%=+-]{0,8}$/) },
  fc.constantFrom(
    '&lt;user&gt;E&lt;/user&gt;',
    '&amp;lt;',
    '&#65;&#x42;',
    '&quot;&apos;',
    'ä',
    '\n ',
    ']]',
    '>',
    '"',
  ),
);
const CDATA = fc.constantFrom('', 'A', '<user>E</user>', '</user>', '&amp;', ']] >', '<!-- ', '<?x', ' ');
const COMMENT = fc.constantFrom('', ' ', '<user>E</user>', '>', '"\'', ' - - ', '<![CDATA[', '</x>');
// No quotes in instructions: the reference parser takes them for quotes of attributes.
const INSTRUCTION = fc.constantFrom('pi', 'pi a="b"', 'pi <user>E</user>', 'pi ]]>');

const MISC = fc.oneof(
  COMMENT.map((text) => `<!--${text}-->`),
  INSTRUCTION.map((text) => `<?${text}?>`),
);
const CHARACTERS = fc.oneof(
  { weight: 3, arbitrary: TEXT },
  CDATA.map((text) => `<![CDATA[${text}]]>`),
  MISC,
);

const VALUE = fc.constantFrom('urn:a&amp;b', 'urn:a&#38;b', 'urn:other', '', 'v', '/>', '<!--'.slice(1), 'ä');
const ATTRIBUTE = fc
  .tuple(
    SPACE,
    fc.constantFrom('xmlns', 'xmlns:p', 'xmlns:q', 'xmlnsx', 'xsi:type', 'a', 'b', 'user'),
    fc.constantFrom('=', ' = '),
    fc.constantFrom(['"', "'>"], ["'", '">'], ['"', ''], ["'", '']),
    VALUE,
  )
  .map(([space, name, equals, [quote = '', extra = ''], value]) => {
    const inside = name.startsWith('xmlns') ? value : value + extra;
    return { name, text: `${space}${name}${equals}${quote}${inside}${quote}` };
  });
const ATTRIBUTES = fc
  .uniqueArray(ATTRIBUTE, { maxLength: 3, selector: ({ name }) => name })
  .map((attributes) => attributes.map(({ text }) => text).join(''));

function element(name: fc.Arbitrary<string>, content: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(name, ATTRIBUTES, MAYBE_SPACE, content, MAYBE_SPACE)
    .map(([tag, attributes, space, inside, trailing]) =>
      inside === '' && trailing === ''
        ? `<${tag}${attributes}${space}/>`
        : `<${tag}${attributes}${space}>${inside}</${tag}${trailing}>`,
    );
}

function sequence(item: fc.Arbitrary<string>, maxLength: number): fc.Arbitrary<string> {
  return fc.array(item, { maxLength }).map((items) => items.join(''));
}

const NAME = fc.tuple(PREFIX, LOCAL).map(([prefix, local]) => prefix + local);
const LEAF = element(NAME, sequence(CHARACTERS, 3));
const NESTED = element(NAME, sequence(fc.oneof(CHARACTERS, LEAF, element(NAME, LEAF)), 3));
const PARAMETER = fc.oneof({ weight: 4, arbitrary: LEAF }, NESTED, CHARACTERS);
const BLOCK = element(NAME, sequence(PARAMETER, 5));
const SECTION = sequence(fc.oneof({ weight: 4, arbitrary: BLOCK }, CHARACTERS), 3);

const ENVELOPE = fc
  .record({
    prefix: fc.constantFrom('', 's:', 'SOAP-ENV:'),
    namespace: fc.constantFrom(
      'http://schemas.xmlsoap.org/soap/envelope/',
      'http://www.w3.org/2003/05/soap-envelope',
      'urn:z',
    ),
    attributes: ATTRIBUTES.filter(
      (attributes) => !attributes.includes('xmlns=') && !attributes.includes('xmlns ='),
    ),
    prolog: sequence(MISC, 2),
    before: fc.oneof(MISC, fc.constantFrom('', '\n')),
    header: fc.option(SECTION),
    extra: fc.option(fc.oneof(LEAF, BLOCK)),
    body: SECTION,
    after: fc.option(BLOCK),
  })
  .map(({ prefix, namespace, attributes, prolog, before, header, extra, body, after }) => {
    const declaration = prefix === '' ? 'xmlns' : `xmlns:${prefix.slice(0, -1)}`;
    const headerText = header === null ? '' : `<${prefix}Header>${header}</${prefix}Header>`;
    return (
      `${prolog}<${prefix}Envelope ${declaration}="${namespace}"${attributes}>${before}${headerText}${extra ?? ''}` +
      `<${prefix}Body>${body}</${prefix}Body>${after ?? ''}</${prefix}Envelope>`
    );
  });

const ENCODINGS = {
  'utf-8': (text: string) => Buffer.from(text),
  'utf-8 with byte order mark': (text: string) => Buffer.from(`\ufeff${text}`),
  'utf-16 LE': (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le'),
  'utf-16 BE': (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16(),
  'iso-8859-1': (text: string) => Buffer.from(`<?xml version="1.0" encoding="iso-8859-1"?>${text}`, 'latin1'),
} as const;
const ENCODING = fc.constantFrom(...(Object.keys(ENCODINGS) as (keyof typeof ENCODINGS)[]));

// --- the slow and obvious reading ----------------------------------------------

type Node = Record<string, unknown>;
interface Element {
  prefix: string;
  local: string;
  attributes: Record<string, string>;
  children: Node[];
}

const PARSER = new XMLParser({
  preserveOrder: true,
  parseTagValue: false,
  parseAttributeValue: false,
  ignoreAttributes: false,
  trimValues: false,
  // Without this, numeric references stay as they are.
  htmlEntities: true,
});

function elementOf(node: Node): Element | undefined {
  const name = Object.keys(node).find((key) => key !== ':@');
  if (name === undefined || name.startsWith('#') || name.startsWith('?')) return undefined;
  const colon = name.indexOf(':');
  return {
    prefix: colon === -1 ? '' : name.slice(0, colon),
    local: name.slice(colon + 1),
    attributes: (node[':@'] ?? {}) as Record<string, string>,
    children: node[name] as Node[],
  };
}

function elementsOf(nodes: Node[]): Element[] {
  return nodes.map(elementOf).filter((found) => found !== undefined);
}

function textOf(found: Element): string | undefined {
  if (elementsOf(found.children).length > 0) return undefined;
  const text = found.children
    .map((node) => (typeof node['#text'] === 'string' ? node['#text'] : ''))
    .join('');
  const trimmed = text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '');
  return trimmed === '' ? undefined : trimmed;
}

/** The namespace of the innermost of nested elements. */
function namespaceOf(path: Element[]): string | undefined {
  const prefix = path.at(-1)?.prefix ?? '';
  const attribute = prefix === '' ? '@_xmlns' : `@_xmlns:${prefix}`;
  const declared = path.findLast(({ attributes }) => attribute in attributes);
  return declared === undefined ? (prefix === '' ? '' : undefined) : declared.attributes[attribute];
}

function read(text: string): { user: string | undefined; session: string | undefined } {
  const [root] = elementsOf(PARSER.parse(text) as Node[]);
  if (root?.local !== 'Envelope') throw new Error('no envelope');
  const found: { rule: number; value: string }[] = [];

  const visit = (path: Element[], section: string): void => {
    const current = path.at(-1) as Element;
    if (path.length > MAX_DEPTH) return;
    const value = path.length >= 3 ? textOf(current) : undefined;
    RULES.forEach((rule, index) => {
      if (value === undefined || rule.local !== current.local) return;
      if (rule.namespace !== undefined && namespaceOf(path) !== rule.namespace) return;
      const isInOperation = section === 'Body' && path.length > 3 && path[2]?.local === rule.operation;
      if (rule.operation !== undefined && !isInOperation) return;
      found.push({ rule: index, value });
    });
    for (const child of elementsOf(current.children)) visit([...path, child], section);
  };

  for (const section of elementsOf(root.children)) {
    if (namespaceOf([root, section]) !== namespaceOf([root])) continue;
    if (section.local === 'Header' || section.local === 'Body') visit([root, section], section.local);
    if (section.local === 'Body') break;
  }
  const best = (kind: string) =>
    found.filter(({ rule }) => RULES[rule]?.kind === kind).sort((one, other) => one.rule - other.rule)[0]
      ?.value;
  return { user: best('user'), session: best('session') };
}

// ---------------------------------------------------------------------------------

test('the scanner finds what reading a tree finds', () => {
  const scanner = new EnvelopeScanner(RULES, { maxDepth: MAX_DEPTH });
  let named = 0;
  fc.assert(
    fc.property(ENVELOPE, ENCODING, (text, encoding) => {
      const expected = read(text);
      const { user, session, problem } = scanner.scan(ENCODINGS[encoding](text), undefined, true);
      expect({ user, session, problem }).toEqual({ ...expected, problem: undefined });
      if (expected.user !== undefined || expected.session !== undefined) named++;
    }),
    { seed: 20261122, numRuns: 3000 },
  );
  // Otherwise the envelopes would prove nothing.
  expect(named).toBeGreaterThan(1000);
});

test('in a truncated envelope the scanner finds nothing that is not there', () => {
  const scanner = new EnvelopeScanner(RULES, { maxDepth: MAX_DEPTH });
  fc.assert(
    fc.property(ENVELOPE, ENCODING, fc.double({ min: 0, max: 1, noNaN: true }), (text, encoding, share) => {
      const whole = ENCODINGS[encoding](text);
      const expected = scanner.scan(whole, undefined, true);
      const cut = scanner.scan(whole.subarray(0, Math.floor(whole.length * share)), undefined, false);
      expect([undefined, 'truncated']).toContain(cut.problem);
      if (cut.problem === undefined) expect(cut).toEqual(expected);
    }),
    { seed: 20261123, numRuns: 2000 },
  );
});
