import fc from 'fast-check';

export const INNER = 'GET /inner HTTP/1.1\r\nHost: inner\r\nsoapuser: INNER\r\n\r\n';
const ENVELOPE =
  '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><ping><user>BODY</user></ping></e:Body></e:Envelope>';

export type Framing = readonly [fields: string[], body: string];

/** Mostly the first, which is also what a failure is shrunk to. */
export function mostly<T>(usual: T, ...others: T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, fc.constantFrom(...others));
}

const BODY = mostly(
  'hello',
  ...['', 'x', INNER, ENVELOPE, `\r\n${INNER}`, '0\r\n\r\n', '\r\n', '\u0000\u00ff', 'a'.repeat(300)],
);
const EXTENSION = mostly(
  '',
  ...[
    ';a',
    ';a=b',
    ';a="b;\\"c"',
    ' ;a',
    ';a = b',
    '; a',
    ';',
    ';a=',
    ';=b',
    ' ',
    ';a\n',
    ';a\rb',
    '\t',
    ';a="',
    ';a="\r\n"',
    ';\u0000',
    ';a=\u00e4',
    `;${'a'.repeat(400)}`,
  ],
);
const CHUNK_END = mostly('\r\n', ...['\n', '\r', '', '\r\r\n', '\n\n', 'X\r\n', ' \r\n', '\r\n\r\n']);
const SIZE = mostly(
  (length: number) => length.toString(16),
  (length: number) => `0${length.toString(16).toUpperCase()}`,
  (length: number) => `0x${length.toString(16)}`,
  (length: number) => ` ${length.toString(16)}`,
  (length: number) => `+${length.toString(16)}`,
  (length: number) => `-${length.toString(16)}`,
  (length: number) => (length + 1).toString(16),
  (length: number) => `${length.toString(16)}g`,
  () => '',
  () => 'fffffffffffffffff',
  () => '10000000000000000',
  (length: number) => `${'0'.repeat(20)}${length.toString(16)}`,
  (length: number) => `${length.toString(16)}_`,
);
const TRAILER = mostly(
  '',
  ...[
    'X-A: 1\r\n',
    'X-T: 2\r\nX-T: 3\r\n',
    'Content-Length: 3\r\n',
    'Host: b\r\n',
    'soapuser: T\r\n',
    'Transfer-Encoding: chunked\r\n',
    ' x\r\n',
    'X A: 1\r\n',
    'X-A: 1\n',
    'X-A',
    'X-A: 1\r\n 2\r\n',
    ': x\r\n',
    INNER,
  ],
);

const CHUNKED = fc
  .tuple(
    fc.array(fc.tuple(SIZE, EXTENSION, CHUNK_END, BODY, CHUNK_END), { maxLength: 3 }),
    mostly('0', '00', '0x0', '', '-0', '0;a', ' 0', '000000000000000000000'),
    CHUNK_END,
    TRAILER,
    CHUNK_END,
  )
  .map(([chunks, last, lastEnd, trailer, end]) => {
    const all = chunks.filter(([, , , data]) => data !== '');
    const text = all.map(
      ([size, extension, lineEnd, data, dataEnd]) =>
        `${size(data.length)}${extension}${lineEnd}${data}${dataEnd}`,
    );
    return `${text.join('')}${last}${lastEnd}${trailer}${end}`;
  });
const CODING = mostly(
  'Transfer-Encoding: chunked',
  ...[
    'Transfer-Encoding: Chunked',
    'transfer-encoding:chunked ',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked, gzip',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding:',
    'Transfer-Encoding: "chunked"',
    'Transfer-Encoding: \u000bchunked',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding:\r\n chunked',
    'Transfer-Encoding: chunked;a=b',
    'Transfer-Encoding: ,chunked',
    'Transfer-Encoding: chunked,',
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding\u0000: chunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 4',
    'Content-Length: 4\r\nTransfer-Encoding: chunked',
    'X-A: 1\nTransfer-Encoding: chunked',
    'X-A: 1\rTransfer-Encoding: chunked',
    'Transfer-Encoding: chunk\u00e9d',
  ],
);
const LENGTH = mostly(
  (length: number) => `Content-Length: ${length}`,
  (length: number) => `content-length:${length}\t`,
  (length: number) => `Content-Length: ${length + 1}`,
  (length: number) => `Content-Length: ${Math.max(0, length - 1)}`,
  (length: number) => `Content-Length: ${length}\r\nContent-Length: ${length}`,
  (length: number) => `Content-Length: ${length}, ${length}`,
  (length: number) => `Content-Length: +${length}`,
  (length: number) => `Content-Length: -${length}`,
  (length: number) => `Content-Length: 0${length}`,
  (length: number) => `Content-Length: 0x${length}`,
  (length: number) => `Content-Length: ${length} `,
  (length: number) => `Content-Length: ${length}.0`,
  (length: number) => `Content-Length: ${length} 1`,
  (length: number) => `Content-Length: ${length}\r\nContent-Length: 0`,
  (length: number) => `Content-Length : ${length}`,
  (length: number) => `Content-Length:\r\n ${length}`,
  (length: number) => `Content-Length: ${length}e0`,
  () => 'Content-Length:',
  () => 'Content-Length: 18446744073709551617',
  (length: number) => `Content-Length: \u000b${length}`,
  () => 'Content-Length: 20000',
  (length: number) => `Content_Length: ${length}`,
);

/** The framing field and the body that belongs to it, or nearly. */
export const FRAMING: fc.Arbitrary<Framing> = fc.oneof(
  fc.constant([[], ''] as const).map(([, body]): Framing => [[], body]),
  {
    weight: 3,
    arbitrary: fc.tuple(LENGTH, BODY).map(([field, body]): Framing => [[field(body.length)], body]),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(CODING, CHUNKED).map(([field, body]): Framing => [[field], body]),
  },
  fc.tuple(CODING, BODY).map(([field, body]): Framing => [[field], body]),
  BODY.map((body): Framing => [[], body]),
);
