import fc from 'fast-check';
import { FRAMING, INNER, mostly } from './http-framing.ts';

/** What a client sends on one connection. */
export interface ClientBytes {
  /** One character for each byte. */
  readonly text: string;
  /** Where the bytes are split over writes, in thousandths of their length. */
  readonly cuts: readonly number[];
  /** Whether the client ends its side right behind the last byte, or waits until the gateway has nothing to do. */
  readonly end: 'at once' | 'later';
}

const METHOD = mostly(
  'POST',
  ...['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT', 'DESCRIBE', 'SOURCE', 'PRI'],
  ...['M-SEARCH', 'QUERY', 'post', 'FOO', '', 'G\tT', ' POST', '\u0000', 'POST\u00e4'],
);
const TARGET = mostly(
  '/ici',
  ...[
    '/',
    '/a?b=c',
    '/a%20b',
    '*',
    'http://other/x',
    'http://other',
    'HTTP://other:80?x',
    'https://other/',
    'http://u@other/',
    'http:///x',
    'ftp://other/',
    'other:80',
    '//other/x',
    '/a/../b',
    '/a/%2e%2e/b',
    '/a\\b',
    '/#a',
    '/a b',
    '/\u00e4',
    '/a\u0001',
    '',
    '/?',
    '/a?b#c',
    '/%zz',
    '/%00',
    'ici',
    '/http://x/',
    '/a;b=c',
    '/[]{}|^`"<>',
    '/a HTTP/1.1',
    '/a?http://x',
  ],
);
const VERSION = mostly(
  'HTTP/1.1',
  ...[
    'HTTP/1.0',
    'HTTP/1.2',
    'HTTP/2.0',
    'HTTP/0.9',
    'http/1.1',
    'HTTP/1.10',
    'HTTP/11',
    'RTSP/1.0',
    'ICE/1.0',
    '',
    'HTTP/1.1 ',
    'HTTP/1,1',
    'HTTP/01.1',
    'HTTPS/1.1',
    ' HTTP/1.1',
    'HTTP/1.1\t',
  ],
);
const HOST = mostly(
  'Host: ici',
  ...[
    '',
    'Host: a\r\nHost: b',
    'Host: ici\r\nhost: ici',
    'Host:',
    'Host: a b',
    'Host: a,b',
    'Host: a/b',
    'Host: u@a',
    'Host: a:1:2',
    'Host: a:',
    'Host: [::1]:80',
    'Host: [::1',
    'Host : a',
    ' Host: a',
    'Host: a\t',
    'Host:\ta',
    'Host: a\r\n b',
    'Host: \u00e4',
    'Host: a%20b',
    'Host: a%zz',
    'Host: a_b',
    'Host: http://a',
    'Host: a\u0000b',
  ],
);
const FIELD = fc.constantFrom(
  ...[
    'soapuser: MILLER',
    'soapuser: smith',
    'soapuser: M\u00dcLLER',
    'Soapuser: A\r\nsoapuser: B',
    'soapuser:',
    'soap_user: C',
    'soapuser : D',
    'soapuser: E\r\n F',
    'Cookie: WS_SESSION_ID=s1',
    'cookie: x=y; WS_SESSION_ID=s2',
    'Cookie: WS_SESSION_ID=s1; WS_SESSION_ID=s3',
  ],
  ...[
    'X-A: 1',
    'X-A: 2\r\nX-A: 3',
    'x-b:\t 4 \t',
    'X-A: ',
    'X-A',
    ': x',
    'X A: 1',
    'X-A : 1',
    'X-A: 1\r\n 2',
    'X-A: 1\r\n\t',
    ' X-A: 1',
    'X-A: 1\rX-B: 2',
    'X-A: 1\nX-B: 2',
    'X-A: \u0000',
    'X-A: \u0001',
    'X-A: \u007f',
    'X-A: \u00ff',
    'X-\u00e4: 1',
    'X-A:1:2',
    'X"A: 1',
    'X-A: "',
    'X_A: 1',
    '_: 1',
    '-: 1',
    'X-A: \u000b',
    'X-A:\u000b1',
    '\u0000: 1',
  ],
  ...[
    'Connection: close',
    'Connection: keep-alive',
    'Connection: x-a',
    'Connection: soapuser',
    'Connection: host',
    'Connection: content-length',
    'Connection: transfer-encoding',
    'Connection: close, x-b',
    'Connection: ,',
    'Connection: upgrade\r\nUpgrade: h2c',
    'Connection: Upgrade\r\nUpgrade: websocket',
    'Upgrade: h2c',
    'Connection: HTTP2-Settings\r\nHTTP2-Settings: AA',
    'Proxy-Connection: keep-alive',
    'Keep-Alive: timeout=1',
    'TE: trailers',
    'Trailer: X-A',
    'Connection: cookie',
    'Connection: close\r\nConnection: keep-alive',
  ],
  ...[
    'Expect: 100-continue',
    'Expect: 100-Continue ',
    'Expect: 200-ok',
    'Expect:',
    'Expect: 100-continue, x',
    'expect: 100-continue\r\nExpect: 100-continue',
  ],
  ...[
    'Content-Type: text/xml; charset=utf-8',
    'Content-Type: application/soap+xml',
    'Content-Type: x',
    'SOAPAction: ""',
    'Content-Encoding: gzip',
    'Max-Forwards: 0',
    'Max-Forwards: 1',
    'Max-Forwards: x',
    'Via: 1.1 x',
    'Via: 1.1 ici-gateway',
    'X-Forwarded-For: 9.9.9.9',
    'X_Forwarded_For: 9.9.9.9',
    'Content_Length: 3',
    'Transfer_Encoding: chunked',
    'Forwarded: for=9.9.9.9',
    'X-Request-Id: x',
  ],
);

const LINE_END = mostly(
  '\r\n',
  ...['\n', '\r', '\r\r\n', '\r\n ', '\n\r', '\r\n\r\n', ' \r\n', '\u0000\r\n'],
);
const BEFORE = mostly(
  '',
  ...['\r\n', '\r\n\r\n', '\n', '\r', ' ', '\u0000', '\ufeff'.slice(1), '\u00ef\u00bb\u00bf'],
);

const REQUEST = fc
  .record({
    before: BEFORE,
    method: METHOD,
    target: TARGET,
    version: VERSION,
    space: mostly(' ', '  ', '\t', '\u000b'),
    host: HOST,
    framing: FRAMING,
    fields: fc.array(FIELD, { maxLength: 4 }),
    place: fc.nat(4),
    fault: fc.tuple(fc.nat(8), LINE_END),
  })
  .map(({ before, method, target, version, space, host, framing, fields, place, fault }) => {
    const [framed, body] = framing;
    const others = fields.toSpliced(place, 0, ...framed);
    const lines = [
      `${method}${space}${target}${version === '' ? '' : `${space}${version}`}`,
      host,
      ...others,
    ].filter((line, i) => i === 0 || line !== '');
    const [at, end] = fault;
    return `${before}${[...lines, ''].map((line, i) => `${line}${i === at ? end : '\r\n'}`).join('')}${body}`;
  });

const NASTY = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\u0000',
  ':',
  ',',
  ';',
  '"',
  '\u000b',
  '\u0080',
  '\u00ff',
  '0',
  'a',
  'chunked',
  INNER,
];
/** Replaces a few bytes anywhere. */
const DAMAGE = fc.record({ at: fc.nat(1_000), removed: fc.nat(3), inserted: fc.constantFrom('', ...NASTY) });

function damaged(
  text: string,
  damages: readonly { at: number; removed: number; inserted: string }[],
): string {
  return damages.reduce((now, { at, removed, inserted }) => {
    const from = Math.floor((at * now.length) / 1_000);
    return now.slice(0, from) + inserted + now.slice(from + removed);
  }, text);
}

export const CLIENT_BYTES: fc.Arbitrary<ClientBytes> = fc
  .record({
    requests: fc.array(REQUEST, { minLength: 1, maxLength: 3 }),
    damages: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      fc.array(DAMAGE, { minLength: 1, maxLength: 2 }),
    ),
    kept: fc.oneof({ weight: 5, arbitrary: fc.constant(1_000) }, fc.nat(1_000)),
    cuts: fc.oneof(fc.constant([]), fc.array(fc.nat(1_000), { maxLength: 4 })),
    end: fc.constantFrom('at once' as const, 'later' as const),
  })
  .map(({ requests, damages, kept, cuts, end }) => {
    const whole = damaged(requests.join(''), damages);
    return {
      text: whole.slice(0, Math.ceil((kept * whole.length) / 1_000)),
      cuts: cuts.toSorted((a, b) => a - b),
      end,
    };
  });
