import { describe, expect, test } from 'vitest';
import { parseMediaType } from '../../../src/soap/media-type.ts';
import { findRootPart } from '../../../src/soap/multipart.ts';

interface Part {
  headers: string[];
  body: string;
}

function message(parts: Part[], { boundary = 'b', eol = '\r\n', preamble = '', end = '--' } = {}): Buffer {
  const text = parts
    .map(
      ({ headers, body }) =>
        `--${boundary}${eol}${headers.map((line) => line + eol).join('')}${eol}${body}${eol}`,
    )
    .join('');
  return Buffer.from(`${preamble}${text}--${boundary}${end}${eol}`, 'latin1');
}

function root(bytes: Buffer, parameters = 'boundary=b', complete = true) {
  const found = findRootPart(bytes, parseMediaType(`multipart/related; ${parameters}`), complete);
  return typeof found === 'string' ? found : { ...found, bytes: found.bytes.toString('latin1') };
}

const ENVELOPE = { headers: ['Content-Type: text/xml; charset=utf-8', 'Content-ID: <root@x>'], body: '<E/>' };
const ATTACHMENT = {
  headers: ['Content-Type: image/png', 'content-id: <other@x>'],
  body: '\u0089PNG\r\n--bogus\r\n',
};
const FOUND = { bytes: '<E/>', contentType: 'text/xml; charset=utf-8', complete: true };

describe('the root part', () => {
  test('is the first, if start names none', () => {
    expect(root(message([ENVELOPE, ATTACHMENT]))).toEqual(FOUND);
  });

  test.each(['"<root@x>"', 'root@x', '"root@x"', '<root@x>'])('is the one that start=%s names', (start) => {
    expect(root(message([ATTACHMENT, ENVELOPE]), `boundary="b"; start=${start}`)).toEqual(FOUND);
  });

  test('is found after a preamble, in lines that end with LF, and with a quoted boundary', () => {
    const bytes = message([ENVELOPE], {
      boundary: 'a b:=?',
      eol: '\n',
      preamble: 'This is MIME, not --a b:=?\n',
    });
    expect(root(bytes, 'boundary="a b:=?"')).toEqual(FOUND);
  });

  test('may have folded header fields and padding after the boundary', () => {
    const bytes = Buffer.from(
      '--b \t\r\nContent-Type: text/xml;\r\n\tcharset=utf-8\r\nContent-ID:\r\n <root@x>\r\n\r\n<E/>\r\n--b--',
    );
    expect(root(bytes, 'boundary=b; start="<root@x>"')).toEqual(FOUND);
  });

  test('may have no header at all', () => {
    expect(root(Buffer.from('--b\r\n\r\n<E/>\r\n--b--'))).toEqual({ ...FOUND, contentType: undefined });
  });

  test('ends at a line that is a delimiter and nowhere else', () => {
    const body = '<E>--b\r\n--bb\r\n --b\r\n</E>\r\n';
    expect(root(message([{ headers: [], body }, ATTACHMENT]))).toMatchObject({ bytes: body });
  });

  test.each([
    ['binary', '<E/>\u00ff', '<E/>\u00ff'],
    ['8BIT', '<E/>\u00ff', '<E/>\u00ff'],
    ['7bit', '<E/>', '<E/>'],
    ['Base64', 'PEUv\r\nPsO8\r\n', '<E/>\u00c3\u00bc'],
    ['quoted-printable', '<E a=3D"=C3=bc=\r\nx= \t\n y"/>', '<E a="\u00c3\u00bcx y"/>'],
  ])('in transfer encoding %s is decoded', (encoding, body, decoded) => {
    const bytes = message([{ headers: [`Content-Transfer-Encoding: ${encoding}`], body }]);
    expect(root(bytes)).toMatchObject({ bytes: decoded });
  });

  test('that has only begun is reported as such', () => {
    const whole = message([ATTACHMENT, ENVELOPE]);
    const parameters = 'boundary=b; start="<root@x>"';
    for (let length = 0; length < whole.length; length++) {
      const found = root(whole.subarray(0, length), parameters, false);
      if (found === 'truncated') continue;
      if (typeof found === 'string' || found.complete) expect(found).toEqual(FOUND);
      else expect('<E/>\r\n--b--').toContain(found.bytes);
    }
    expect(root(whole.subarray(0, whole.indexOf('<E/>') + 2), parameters, false)).toEqual({
      ...FOUND,
      bytes: '<E',
      complete: false,
    });
  });

  test('without a closing delimiter ends with the message', () => {
    expect(root(Buffer.from('--b\r\n\r\n<E/>'))).toMatchObject({ bytes: '<E/>', complete: true });
  });

  test('is a view of the message, not a copy', () => {
    const bytes = message([ENVELOPE]);
    const found = findRootPart(bytes, parseMediaType('multipart/related; boundary=b'), true);
    expect(typeof found === 'string' ? found : found.bytes.buffer).toBe(bytes.buffer);
  });
});

describe('a multipart message is refused', () => {
  test.each([
    ['without a boundary', message([ENVELOPE]), 'x=y'],
    [
      'with a boundary of 71 characters',
      message([ENVELOPE], { boundary: 'x'.repeat(71) }),
      `boundary=${'x'.repeat(71)}`,
    ],
    ['in which the boundary never occurs', message([ENVELOPE]), 'boundary=c'],
    [
      'in which the part that start names is missing',
      message([ENVELOPE, ATTACHMENT]),
      'boundary=b; start="<x>"',
    ],
    ['without parts', Buffer.from('--b--\r\n'), 'boundary=b'],
    ['with a part whose header never ends', Buffer.from(`--b\r\n${'a: b\r\n'.repeat(20)}`), 'boundary=b'],
    [
      'with a header of more than 8 KB',
      message([{ headers: [`a: ${'x'.repeat(9000)}`, 'b: c'], body: '<E/>' }]),
      'boundary=b',
    ],
    [
      'with more than 64 parts',
      message([...Array<Part>(64).fill(ATTACHMENT), ENVELOPE]),
      'boundary=b; start="<root@x>"',
    ],
    [
      'in an unknown transfer encoding',
      message([{ headers: ['Content-Transfer-Encoding: x-uu'], body: '' }]),
      'boundary=b',
    ],
    [
      'in broken quoted-printable',
      message([{ headers: ['Content-Transfer-Encoding: quoted-printable'], body: '<E a=zz/>' }]),
      'boundary=b',
    ],
  ])('%s', (_what, bytes, parameters) => {
    expect(root(bytes, parameters)).toBe('multipart');
  });
});
