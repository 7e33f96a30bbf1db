/**
 * A parser of HTTP/1.x requests that accepts nothing beyond the grammar of RFC 9112, written without a look at Node's.
 * It is the second opinion on what a request is: where both agree, a message has one meaning.
 */

export interface StrictRequest {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  /** The fields as sent, without white space around the values. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export interface Reading {
  /** The complete requests before `end`. */
  readonly requests: readonly StrictRequest[];
  /** What follows them: `'complete'` for nothing, `'incomplete'` for the begin of another one, or what is wrong. */
  readonly end: 'complete' | 'incomplete' | { readonly fault: string };
  /** Where they end. */
  readonly length: number;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
// RFC 9112 §3 permits several spaces: no part contains one, so there is one way to read them.
const REQUEST_LINE = new RegExp(`^(${TOKEN}) +([\\x21-\\x7e]+) +HTTP/(1\\.[01])$`);
const FIELD = new RegExp(`^(${TOKEN}):[ \\t]*([\\t\\x20-\\x7e\\x80-\\xff]*?)[ \\t]*$`);
// Extensions are ignored, so only their end counts (RFC 9112 §7.1.1).
const CHUNK_LINE = /^([0-9A-Fa-f]+)(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/;
// RFC 3986 §3.2.2, and a port.
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\d*)?$/;
// Numbers beyond are not exact.
const MOST_DIGITS = 12;

class Fault extends Error {}
class Incomplete extends Error {}

/** @param text one character for each byte */
export function readStrictly(text: string): Reading {
  const requests: StrictRequest[] = [];
  const reader = new Reader(text);
  let length = 0;
  for (;;) {
    try {
      reader.skipEmptyLines();
      if (reader.at === text.length) return { requests, end: 'complete', length: text.length };
      requests.push(readRequest(reader));
      length = reader.at;
    } catch (error) {
      if (error instanceof Incomplete) return { requests, end: 'incomplete', length };
      if (error instanceof Fault) return { requests, end: { fault: error.message }, length };
      throw error;
    }
  }
}

class Reader {
  at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Empty lines before a request line do not count (RFC 9112 §2.2), nor does a half of their end: it begins no request. */
  skipEmptyLines(): void {
    while (this.#text[this.at] === '\r' || this.#text[this.at] === '\n') this.at += 1;
  }

  /** A line that ends in CRLF, and holds no other CR or LF. */
  line(): string {
    const from = this.at;
    while (this.at < this.#text.length) {
      const character = this.#text[this.at++];
      if (character === '\n') throw new Fault('a bare LF');
      if (character !== '\r') continue;
      if (this.at === this.#text.length) break;
      if (this.#text[this.at++] !== '\n') throw new Fault('a bare CR');
      return this.#text.slice(from, this.at - 2);
    }
    throw new Incomplete();
  }

  take(length: number): string {
    const from = this.at;
    if (from + length > this.#text.length) throw new Incomplete();
    this.at += length;
    return this.#text.slice(from, this.at);
  }
}

function readRequest(reader: Reader): StrictRequest {
  const [, method, target, version] = REQUEST_LINE.exec(reader.line()) ?? [];
  if (method === undefined || target === undefined || version === undefined)
    throw new Fault('the request line');
  const fields = readFields(reader);
  return { method, target, version, fields, body: readBody(reader, version, fields) };
}

function readFields(reader: Reader): (readonly [string, string])[] {
  const fields: (readonly [string, string])[] = [];
  for (let line = reader.line(); line !== ''; line = reader.line()) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new Fault('a field');
    fields.push([name, value]);
  }
  return fields;
}

function readBody(reader: Reader, version: string, fields: StrictRequest['fields']): string {
  const hosts = valuesOf(fields, 'host');
  if (hosts.length > 1 || (hosts.length === 0 && version === '1.1'))
    throw new Fault('the number of Host fields');
  if (!hosts.every((host) => HOST.test(host))) throw new Fault('Host');
  const codings = valuesOf(fields, 'transfer-encoding');
  const lengths = valuesOf(fields, 'content-length');
  if (codings.length === 0) {
    if (lengths.length === 0) return '';
    const [length = ''] = lengths;
    if (lengths.length > 1 || !/^\d+$/.test(length)) throw new Fault('Content-Length');
    if (length.replace(/^0+/, '').length > MOST_DIGITS) throw new Fault('Content-Length');
    return reader.take(Number(length));
  }
  if (version !== '1.1' || lengths.length > 0) throw new Fault('Transfer-Encoding beside what excludes it');
  if (codings.length > 1 || codings[0]?.toLowerCase() !== 'chunked') throw new Fault('Transfer-Encoding');
  return readChunks(reader);
}

function readChunks(reader: Reader): string {
  for (let body = ''; ; ) {
    const [, digits] = CHUNK_LINE.exec(reader.line()) ?? [];
    if (digits === undefined || digits.replace(/^0+/, '').length > MOST_DIGITS)
      throw new Fault('a chunk size');
    const size = Number.parseInt(digits, 16);
    if (size === 0) {
      readFields(reader);
      return body;
    }
    body += reader.take(size);
    if (reader.take(2) !== '\r\n') throw new Fault('the end of a chunk');
  }
}

/** The values of a field, in any letter case. */
export function valuesOf(fields: StrictRequest['fields'], name: string): string[] {
  return fields.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
}
