import { describe, expect, test } from 'vitest';
import { readRequestText } from '../../../src/proxy/request-text.ts';

const LIMITS = { headerBytes: 1_000, headers: 10 };

async function read(text: string) {
  const read = await readRequestText(text, LIMITS);
  if ('error' in read) return read.error;
  const { raw, isHttp, close } = read;
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of raw) chunks.push(chunk as Buffer);
  } catch {
    // The text ends in the middle of the body.
  }
  close();
  const { method, url, headers } = raw;
  return { method, url, headers, body: Buffer.concat(chunks).toString(), isHttp, isComplete: raw.complete };
}

describe('the text of a request', () => {
  test('is read with whatever line ends, and with the length that it has', async () => {
    const text = '\n\nPOST /ici HTTP/1.1\nhost: gw\nContent-Length: 999\nsoapuser: M\u00dcLLER\n\nbody\u00fc';
    expect(await read(text)).toEqual({
      method: 'POST',
      url: '/ici',
      headers: { host: 'gw', 'content-length': '6', soapuser: Buffer.from('M\u00dcLLER').toString('latin1') },
      body: 'body\u00fc',
      isHttp: true,
      isComplete: true,
    });
    expect(await read('GET / HTTP/1.0\r\nhost: gw\r\n\r\n')).toMatchObject({ method: 'GET', body: '' });
    expect(await read('GET / HTTP/1.1\nhost: gw')).toMatchObject({ method: 'GET', isComplete: true });
  });

  test.each([
    ['GW_REQUEST_MALFORMED', 'hello'],
    ['GW_REQUEST_MALFORMED', ''],
    ['GW_REQUEST_MALFORMED', 'GET / HTTP/1.1\nbad header\n\n'],
    ['GW_HEADER_TOO_LARGE', `GET / HTTP/1.1\nx: ${'x'.repeat(2_000)}\n\n`],
    ['GW_METHOD_UNSUPPORTED', 'CONNECT a:1 HTTP/1.1\nhost: a\n\n'],
    ['GW_VERSION_UNSUPPORTED', 'GET / HTTP/3.0\nhost: a\n\n'],
  ])('is refused with %s like the same input of a client: %j', async (code, text) => {
    expect(await read(text)).toBe(code);
  });

  test('that ends inside a chunk is a request without its end', async () => {
    const text = 'POST / HTTP/1.1\nhost: gw\ntransfer-encoding: chunked\n\nff\r\nabc';
    expect(await read(text)).toMatchObject({ method: 'POST', isComplete: false });
  });
});
