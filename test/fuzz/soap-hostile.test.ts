import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BodySearch } from '../../src/soap/body-search.ts';
import type { ElementRule } from '../../src/soap/element-rules.ts';
import { parseMediaType, soapVersionOf } from '../../src/soap/media-type.ts';
import type { ScanResult } from '../../src/soap/scan-result.ts';

const RULES: ElementRule[] = [
  { kind: 'user', local: 'user', namespace: '' },
  { kind: 'user', local: 'agent', operation: 'logon' },
  { kind: 'session', local: 'sessionId' },
];
const SEARCH = new BodySearch(RULES, { maxBytes: 4096, maxDepth: 4 });
const PROBLEMS = [
  undefined,
  'doctype',
  'malformed',
  'not-soap',
  'encoding',
  'limit',
  'truncated',
  'compressed',
  'multipart',
];

const FOLDER = new URL('../fixtures/soap/', import.meta.url);
const CORPUS = readdirSync(FOLDER).map((name) => readFileSync(new URL(name, FOLDER)));
const MULTIPART = Buffer.concat([
  Buffer.from('--b\r\nContent-Type: text/xml\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'),
  CORPUS[0] as Buffer,
  Buffer.from('\r\n--b--\r\n'),
]);

const MARKUP = fc.constantFrom(
  ...[
    '<',
    '>',
    '/',
    '</',
    '/>',
    '"',
    "'",
    '=',
    '&',
    ';',
    '&#x',
    '&#0;',
    '<!--',
    '-->',
    '<![CDATA[',
    ']]>',
    '<?',
    '?>',
  ],
  ...[
    '<!DOCTYPE',
    ':',
    ' ',
    '\0',
    '\ufeff',
    'xmlns="',
    '<user>',
    '</user>',
    '<Envelope>',
    '<Body>',
    '--b',
    '\r\n',
  ],
);
const CONTENT_TYPE = fc.oneof(
  fc.constantFrom(
    ...['text/xml; charset=utf-8', 'text/xml; charset=utf-16', 'text/xml; charset=iso-8859-15', 'text/xml'],
    ...['multipart/related; boundary=b', 'multipart/related; boundary=b; start="<x>"', 'multipart/related'],
  ),
  fc.string({ unit: 'binary', maxLength: 60 }),
);
const CODING = fc.constantFrom(undefined, undefined, undefined, 'gzip', 'deflate', 'br', 'identity');

/** Replaces `removed` bytes at some place by `inserted`. */
interface Mutation {
  at: number;
  removed: number;
  inserted: Buffer;
}

const MUTATION: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(),
  removed: fc.oneof(fc.constant(0), fc.nat({ max: 8 }), fc.nat({ max: 400 })),
  inserted: fc.oneof(
    MARKUP.map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  ),
});

function mutate(bytes: Buffer, mutations: readonly Mutation[]): Buffer {
  return mutations.reduce((current, { at, removed, inserted }) => {
    const from = at % (current.length + 1);
    return Buffer.concat([current.subarray(0, from), inserted, current.subarray(from + removed)]);
  }, bytes);
}

const NOISE = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.array(MARKUP, { maxLength: 60 }).map((pieces) => Buffer.from(pieces.join(''))),
);
const MUTANT = fc
  .tuple(fc.constantFrom(...CORPUS, MULTIPART), fc.array(MUTATION, { minLength: 1, maxLength: 4 }))
  .map(([bytes, mutations]) => mutate(bytes, mutations));

function expectInBounds({ user, session, problem }: ScanResult): void {
  expect(PROBLEMS).toContain(problem);
  for (const [value, limit] of [
    [user, 256],
    [session, 4096],
  ] as const) {
    if (value === undefined) continue;
    expect(value.length).toBeGreaterThan(0);
    expect(value.length).toBeLessThanOrEqual(limit);
    expect([undefined, 'truncated']).toContain(problem);
  }
}

async function searchAndTime(...request: Parameters<BodySearch['search']>): Promise<void> {
  const copy = Buffer.from(request[0]);
  const start = process.cpuUsage();
  const found = SEARCH.search(...request);
  const { user, system } = process.cpuUsage(start);
  // In microseconds of processor time, since the machine may be busy. This catches work that grows out of proportion.
  expect(user + system).toBeLessThan(500_000);
  expectInBounds(await found);
  expect(request[0].equals(copy)).toBe(true);
}

test('every byte string is searched within bounds, without an exception, and is not changed', async () => {
  await fc.assert(
    fc.asyncProperty(
      NOISE,
      CONTENT_TYPE,
      CODING,
      fc.boolean(),
      (bytes, contentType, contentEncoding, complete) =>
        searchAndTime(bytes, { contentType, contentEncoding }, complete),
    ),
    { seed: 44, numRuns: 3000 },
  );
});

test('every mutation of a valid envelope is searched within bounds, without an exception', async () => {
  await fc.assert(
    fc.asyncProperty(MUTANT, CONTENT_TYPE, fc.boolean(), (bytes, contentType, complete) =>
      searchAndTime(bytes, { contentType }, complete),
    ),
    { seed: 45, numRuns: 4000 },
  );
});

test('every mutation of a compressed envelope is searched within bounds, without an exception', async () => {
  const packed = gzipSync(CORPUS[0] as Buffer);
  await fc.assert(
    fc.asyncProperty(fc.array(MUTATION, { maxLength: 2 }), fc.boolean(), (mutations, complete) =>
      searchAndTime(mutate(packed, mutations), { contentEncoding: 'gzip' }, complete),
    ),
    { seed: 46, numRuns: 300 },
  );
});

test('every Content-Type can be read', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc
          .array(fc.constantFrom('text/xml', ';', '=', '"', '\\', ' ', 'charset', 'type', 'utf-8', "'"))
          .map((pieces) => pieces.join('')),
      ),
      (value) => {
        const { essence } = parseMediaType(value);
        expect(essence).toBe(essence.toLowerCase().trim());
        expect([undefined, '1.1', '1.2']).toContain(soapVersionOf(value));
      },
    ),
    { seed: 47, numRuns: 3000 },
  );
});
