import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { BodySearch } from '../../../src/soap/body-search.ts';
import type { ElementRule } from '../../../src/soap/element-rules.ts';
import { quickestMs } from '../../support/quickest.ts';

const RULES: ElementRule[] = [
  { kind: 'user', local: 'user' },
  { kind: 'session', local: 'sessionID' },
];
const KB = 1024;
const SEARCH = new BodySearch(RULES, { maxBytes: 64 * KB, maxDepth: 4 });
const XML = { contentType: 'text/xml; charset=utf-8' };

function envelope(user: string, { filler = '', prefix = 'soap1:' } = {}): Buffer {
  return Buffer.from(
    `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:soap1="urn:x"><e:Body><m>` +
      `<filler>${filler}</filler><${prefix}sessionID>S1</${prefix}sessionID><user>${user}</user>` +
      `</m></e:Body></e:Envelope>`,
  );
}

// Mistakes of a rule script for a load balancer that was in production at a contact centre.
describe('unlike rule scripts of load balancers', () => {
  test('a body of 1024 bytes or more is searched', () => {
    for (const size of [1023, 1024, 1025, 4096, 60 * KB]) {
      const filler = 'x'.repeat(size - envelope('AGENT01').length);
      const body = envelope('AGENT01', { filler });
      expect(body.length).toBe(size);
      expect(SEARCH.search(body, XML, true)).toMatchObject({ user: 'AGENT01', session: 'S1' });
    }
  });

  test('a body that came in chunks is searched, wherever it was split', () => {
    const body = envelope('AGENT01');
    const expected = SEARCH.search(body, XML, true);
    expect(expected).toMatchObject({ user: 'AGENT01', session: 'S1', version: '1.1', problem: undefined });
    for (let at = 0; at <= body.length; at++) {
      const chunks = [body.subarray(0, at), body.subarray(at)];
      expect(SEARCH.search(Buffer.concat(chunks), XML, true)).toEqual(expected);
    }
  });

  test('any namespace prefix is accepted', () => {
    for (const prefix of ['', 'soap1:', 'ns2:', 'urn-x.1:']) {
      expect(SEARCH.search(envelope('A', { prefix }), XML, true)).toMatchObject({ session: 'S1' });
    }
  });

  test('nothing leaks into the next request', () => {
    const nameless = Buffer.from('<Envelope><Body><m><x>1</x></m></Body></Envelope>');
    expect(SEARCH.search(envelope('AGENT01'), XML, true)).toMatchObject({ user: 'AGENT01' });
    expect(SEARCH.search(nameless, XML, true)).toMatchObject({ user: undefined, session: undefined });
  });

  test('a value whose end has not been seen is not taken for the whole', () => {
    const body = envelope('AGENT01');
    for (let length = 0; length < body.length; length++) {
      const found = SEARCH.search(body.subarray(0, length), XML, false);
      expect(found).not.toBeInstanceOf(Promise);
      const { user, session } = found as { user?: string; session?: string };
      expect([undefined, 'AGENT01']).toContain(user);
      expect([undefined, 'S1']).toContain(session);
    }
  });
});

describe('a compressed body', () => {
  test.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    [' GZIP ', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
  ])('of coding %j is inflated', async (contentEncoding, compress) => {
    const found = SEARCH.search(compress(envelope('A')), { ...XML, contentEncoding }, true);
    expect(found).toBeInstanceOf(Promise);
    await expect(found).resolves.toMatchObject({ user: 'A', session: 'S1', problem: undefined });
  });

  test.each(['identity', 'Identity', ''])(
    'of coding %j is not compressed, and is searched at once',
    (contentEncoding) => {
      expect(SEARCH.search(envelope('A'), { ...XML, contentEncoding }, true)).toMatchObject({ user: 'A' });
    },
  );

  test.each(['br', 'zstd', 'gzip, gzip', 'x'])('of coding %j is refused', (contentEncoding) => {
    expect(SEARCH.search(envelope('A'), { ...XML, contentEncoding }, true)).toMatchObject({
      user: undefined,
      problem: 'compressed',
    });
  });

  test('that is not of its coding is refused', async () => {
    for (const contentEncoding of ['gzip', 'deflate']) {
      const found = SEARCH.search(envelope('A'), { ...XML, contentEncoding }, true);
      await expect(found).resolves.toMatchObject({ user: undefined, problem: 'compressed' });
    }
  });

  test('is searched in the part that has arrived', async () => {
    const filler = Array.from({ length: 5000 }, (_, index) => index).join();
    const whole = Buffer.from(envelope('A').toString().replace('</user>', `</user><x>${filler}</x>`));
    const rules: ElementRule[] = [
      { kind: 'user', local: 'user' },
      { kind: 'session', local: 'none' },
    ];
    const noSession = new BodySearch(rules, { maxBytes: 64 * KB, maxDepth: 4 });
    const packed = gzipSync(whole);
    const found = await noSession.search(
      packed.subarray(0, packed.length - 200),
      { contentEncoding: 'gzip' },
      false,
    );
    expect(found).toMatchObject({ user: 'A', problem: 'truncated' });
  });

  test('is inflated up to the limit and no further', async () => {
    const limited = new BodySearch([{ kind: 'user', local: 'user' }], { maxBytes: 4 * KB, maxDepth: 4 });
    const near = gzipSync(envelope('A', { filler: 'x'.repeat(3 * KB) }));
    const far = gzipSync(envelope('A', { filler: 'x'.repeat(5 * KB) }));
    const headers = { ...XML, contentEncoding: 'gzip' };
    await expect(limited.search(near, headers, true)).resolves.toMatchObject({
      user: 'A',
      problem: undefined,
    });
    await expect(limited.search(far, headers, true)).resolves.toMatchObject({
      user: undefined,
      problem: 'truncated',
    });
  });

  test('of 100 MB takes no more time than its beginning', async () => {
    const bomb = gzipSync(Buffer.alloc(100 * KB * KB, ' '));
    const before = process.memoryUsage().arrayBuffers;
    const search = () => SEARCH.search(bomb, { ...XML, contentEncoding: 'gzip' }, true);
    expect(await quickestMs(search)).toBeLessThan(50);
    const found = await SEARCH.search(bomb, { ...XML, contentEncoding: 'gzip' }, true);
    expect(found).toMatchObject({ problem: 'truncated' });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * KB * KB);
  });
});

describe('a message with attachments', () => {
  const headers = {
    contentType: 'multipart/related; type="text/xml"; start="<root>"; boundary="=_b"',
  };
  const attachment =
    '--=_b\r\nContent-ID: <a>\r\n\r\n<Envelope><Body><user>EVIL</user></Body></Envelope>\r\n';
  const rootPart = (body: Buffer, charset: string) =>
    Buffer.concat([
      Buffer.from(
        `${attachment}--=_b\r\nContent-ID: <root>\r\nContent-Type: text/xml; charset=${charset}\r\n\r\n`,
      ),
      body,
      Buffer.from('\r\n--=_b--\r\n'),
    ]);

  test('is searched in its root part, in the charset of that part', () => {
    expect(SEARCH.search(rootPart(envelope('Müller'), 'utf-8'), headers, true)).toMatchObject({
      user: 'Müller',
    });
    const latin1 = Buffer.from(envelope('Müller').toString(), 'latin1');
    expect(SEARCH.search(rootPart(latin1, 'iso-8859-1'), headers, true)).toMatchObject({ user: 'Müller' });
  });

  test('is searched as well when compressed', async () => {
    const packed = gzipSync(rootPart(envelope('A'), 'utf-8'));
    await expect(SEARCH.search(packed, { ...headers, contentEncoding: 'gzip' }, true)).resolves.toMatchObject(
      {
        user: 'A',
      },
    );
  });

  test.each(['multipart/related', 'multipart/form-data; boundary=b'])(
    'of type %s is refused',
    (contentType) => {
      expect(SEARCH.search(envelope('A'), { contentType }, true)).toMatchObject({ problem: 'multipart' });
    },
  );
});

describe('a body beyond the limit', () => {
  test('is searched up to the limit', () => {
    const search = new BodySearch([{ kind: 'user', local: 'user' }], { maxBytes: 1 * KB, maxDepth: 4 });
    const filler = 'x'.repeat(2 * KB);
    expect(search.search(envelope('A', { filler }), XML, true)).toMatchObject({
      user: undefined,
      problem: 'truncated',
    });
    const early = Buffer.from(`<Envelope><Body><m><user>A</user>${filler}`);
    expect(search.search(early, XML, true)).toMatchObject({ user: 'A', problem: undefined });
  });

  test('of 50 MB takes no more time than its first 64 KB', async () => {
    const body = Buffer.alloc(50 * KB * KB, '<a>x</a>');
    body.write('<Envelope><Body><m>     ');
    const search = () => SEARCH.search(body, XML, true);
    expect(search()).toMatchObject({ user: undefined, session: undefined, problem: 'truncated' });
    expect(await quickestMs(search)).toBeLessThan(50);
  });
});

test('a body without any header is searched as XML', () => {
  expect(SEARCH.search(envelope('A'), {}, true)).toMatchObject({ user: 'A' });
  expect(SEARCH.search(Buffer.alloc(0), {}, true)).toMatchObject({ problem: 'not-soap' });
});
