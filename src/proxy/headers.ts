import type { IncomingMessage } from 'node:http';

/**
 * Hop-by-hop fields (RFC 9110 §7.6.1) and those that the gateway writes itself. The gateway answers `expect`, which
 * undici refuses to send.
 */
const NEVER_FORWARDED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'expect',
  'content-length',
  'host',
]);

/**
 * Forwarding headers, beside all that begin with `x-forwarded-`. The gateway writes some of them, and keeps a client's
 * only if the client is a trusted proxy.
 */
const FORWARDING_HEADERS: ReadonlySet<string> = new Set([
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
]);

function isForwarding(name: string): boolean {
  return FORWARDING_HEADERS.has(name) || name.startsWith('x-forwarded-');
}

/** Is there a header that only trusted proxies may send? */
export function hasForwardingHeaders({ headers }: IncomingMessage): boolean {
  for (const name in headers) if (isForwarding(hyphenated(name))) return true;
  return false;
}

/**
 * CGI, WSGI and IIS make one variable of `X-Forwarded-For` and `X_Forwarded_For`, so a server may take one for the
 * other. Is this a field that looks like one with a meaning for proxies?
 */
function isLookAlike(name: string, requestIdHeader: string): boolean {
  if (!name.includes('_')) return false;
  const plain = hyphenated(name);
  return NEVER_FORWARDED.has(plain) || isForwarding(plain) || plain === hyphenated(requestIdHeader);
}

function hyphenated(name: string): string {
  return name.replaceAll('_', '-');
}

export interface RequestHeaderFacts {
  readonly rawHeaders: readonly string[];
  /** The names that the Connection header lists, in lower case. */
  readonly connectionTokens: readonly string[] | undefined;
  readonly host: string;
  /** The length of the body, if it is known and undici cannot compute it. */
  readonly contentLength: number | undefined;
  readonly peerAddress: string;
  readonly peerTrusted: boolean;
  readonly scheme: 'http' | 'https';
  readonly clientHost: string | undefined;
  readonly requestIdHeader: string;
  readonly requestId: string;
  readonly via: string;
  /** Replaces that of the client. */
  readonly maxForwards: number | undefined;
  /** Forward fields that equal proxy fields but for underscores. */
  readonly keepsLookAlikes: boolean;
}

/**
 * The header for the instance, as a flat list. It keeps the client's fields in their order and spelling, and repeated
 * ones separate, but omits hop-by-hop fields.
 */
export function requestHeaders(facts: RequestHeaderFacts): string[] {
  const { rawHeaders, connectionTokens, requestIdHeader } = facts;
  const headers: string[] = ['host', facts.host];
  const cameThrough: string[] = [];
  let forwardedProto: string = facts.scheme;
  let forwardedHost = facts.clientHost;

  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    const lower = name.toLowerCase();
    if (NEVER_FORWARDED.has(lower) || lower === requestIdHeader) continue;
    if (connectionTokens?.includes(lower) === true) continue;
    if (!facts.keepsLookAlikes && isLookAlike(lower, requestIdHeader)) continue;
    if (isForwarding(lower)) {
      if (!facts.peerTrusted) continue;
      if (lower === 'x-forwarded-for') {
        // Several lines form one list (RFC 9110 §5.3).
        cameThrough.push(value);
        continue;
      }
      if (lower === 'x-forwarded-proto') {
        forwardedProto = value;
        continue;
      }
      if (lower === 'x-forwarded-host') {
        forwardedHost = value;
        continue;
      }
    }
    headers.push(name, lower === 'max-forwards' ? String(facts.maxForwards ?? value) : value);
  }

  if (facts.contentLength !== undefined) headers.push('content-length', String(facts.contentLength));
  cameThrough.push(facts.peerAddress);
  headers.push('x-forwarded-for', cameThrough.join(', '), 'x-forwarded-proto', forwardedProto);
  if (forwardedHost !== undefined) headers.push('x-forwarded-host', forwardedHost);
  headers.push('via', facts.via, requestIdHeader, facts.requestId);
  return headers;
}

/** The names that a Connection header lists, in lower case; `undefined` if it is missing or has a usual value. */
export function connectionTokens(connection: string | undefined): string[] | undefined {
  if (connection === undefined || connection === 'close' || connection === 'keep-alive') return undefined;
  const tokens = connection
    .toLowerCase()
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
  return tokens.length === 0 ? undefined : tokens;
}

/**
 * How an answer is passed on. `events`: as it comes, because the client waits for each event. `unreadable`: not at all,
 * because its transfer coding belongs to this connection only, and the body means nothing without it.
 *
 * @param raw names and values alternating, as undici delivers them
 */
export function answerKind(raw: readonly Buffer[]): 'ordinary' | 'events' | 'unreadable' {
  let kind: 'ordinary' | 'events' = 'ordinary';
  let isCoded = false;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as Buffer;
    // Nearly no other field has these lengths, so few names are converted to text.
    if (name.length === TRANSFER_ENCODING.length && textOf(name) === TRANSFER_ENCODING) {
      const coding = textOf(raw[i + 1] as Buffer);
      if (isCoded || (coding !== 'chunked' && coding !== 'identity')) return 'unreadable';
      isCoded = true;
    } else if (name.length === CONTENT_TYPE.length && textOf(name) === CONTENT_TYPE) {
      if (textOf(raw[i + 1] as Buffer).startsWith('text/event-stream')) kind = 'events';
    }
  }
  return kind;
}

const TRANSFER_ENCODING = 'transfer-encoding';
const CONTENT_TYPE = 'content-type';

function textOf(bytes: Buffer): string {
  return bytes.toString('latin1').trim().toLowerCase();
}

/** Hop-by-hop fields of a response. Node frames the response itself for the client. */
const NEVER_RETURNED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The header for the client, as a flat list. It keeps the instance's fields byte for byte in their order and spelling,
 * and repeated ones separate, but omits hop-by-hop fields.
 *
 * @param raw names and values alternating, as undici delivers them
 */
export function responseHeaders(
  raw: readonly Buffer[],
  requestIdHeader: string,
  requestId: string,
): string[] {
  const headers: string[] = [];
  let listed: string[] | undefined;
  let hasRequestId = false;
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as Buffer).toString('latin1');
    const value = (raw[i + 1] as Buffer).toString('latin1');
    const lower = name.toLowerCase();
    if (lower === 'connection') listed = [...(listed ?? []), ...(connectionTokens(value) ?? [])];
    if (NEVER_RETURNED.has(lower)) continue;
    if (lower === requestIdHeader) hasRequestId = true;
    headers.push(name, value);
  }
  if (!hasRequestId) headers.push(requestIdHeader, requestId);
  return listed === undefined || listed.length === 0 ? headers : without(headers, listed);
}

/** The header without the fields of these names, which are in lower case. */
export function without(headers: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!names.includes(name.toLowerCase())) kept.push(name, headers[i + 1] as string);
  }
  return kept;
}

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const ONE = 0x31;

const NOTHING = Buffer.alloc(0);
const PROTOCOL = Buffer.from('HTTP/1.');
// In "HTTP/1.1 100", the first digit of the status.
const STATUS_AT = 9;
const STATUS_END = STATUS_AT + 3;

/** Where the next byte of the connection belongs. */
type Place =
  | 'status' // in the status line of an answer
  | 'fields' // in its header
  | 'dropped' // in the header of an interim answer that is not passed on
  | 'body'; // behind the header, until the next request is sent

/**
 * Corrects the heads of an instance's answers before undici reads them. undici ends the connection at two things that a
 * proxy must accept: `100 Continue` that nothing asked for (RFC 9110 §15.2), which is dropped here, and white space
 * before the colon of a field, which is removed (RFC 9112 §5.1). Everything else passes unchanged.
 */
export class AnswerHeads {
  #place: Place = 'status';
  /** The beginning of a line whose end has not arrived. */
  #held: Buffer = NOTHING;
  /** The header that is being read is not that of the final answer. */
  #isInterim = false;
  readonly #maxLine: number;

  /** @param maxLine longer lines pass without being read, so that undici refuses them */
  constructor(maxLine: number) {
    this.#maxLine = maxLine;
  }

  /** To be called when a request is sent, or the connection is new. */
  expect(): void {
    this.#place = 'status';
    this.#held = NOTHING;
  }

  /** What undici may read of the bytes that have arrived, if anything. */
  take(chunk: Buffer): Buffer {
    if (this.#place === 'body') return chunk;
    if (this.#place === 'status' && this.#held.length === 0 && isOrdinary(chunk)) {
      this.#place = 'body';
      return chunk;
    }
    return this.#takeLines(chunk);
  }

  #takeLines(chunk: Buffer): Buffer {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    const passed: Buffer[] = [];
    let at = 0;
    while (at < bytes.length && this.#place !== 'body') {
      const end = bytes.indexOf(LF, at) + 1;
      const isLine = end !== 0;
      // Something that is not HTTP may never end a line.
      if (this.#place === 'status' && !mayBeHttp(bytes.subarray(at))) this.#place = 'body';
      else if (!isLine && bytes.length - at > this.#maxLine) this.#place = 'body';
      else if (!isLine) {
        this.#held = bytes.subarray(at);
        return joined(passed);
      } else {
        const line = this.#takeLine(bytes.subarray(at, end));
        if (line !== undefined) passed.push(line);
        at = end;
      }
    }
    if (at < bytes.length) passed.push(bytes.subarray(at));
    return joined(passed);
  }

  /** The line as undici may read it, or `undefined` if it is dropped. */
  #takeLine(line: Buffer): Buffer | undefined {
    const isEnd = line.length === 1 || (line.length === 2 && line[0] === CR);
    switch (this.#place) {
      case 'status':
        if (line.toString('latin1', STATUS_AT, STATUS_END) === '100') {
          this.#place = 'dropped';
          return undefined;
        }
        this.#place = 'fields';
        this.#isInterim = line[STATUS_AT] === ONE;
        return line;
      case 'dropped':
        if (isEnd) this.#place = 'status';
        return undefined;
      default:
        if (isEnd) this.#place = this.#isInterim ? 'status' : 'body';
        return withoutSpaceBeforeColon(line);
    }
  }
}

/** Is it a whole head of a final answer without white space before a colon? Nearly all answers are. */
function isOrdinary(chunk: Buffer): boolean {
  if (chunk.length <= STATUS_END || chunk[STATUS_AT] === ONE || !mayBeHttp(chunk)) return false;
  let previous = 0;
  let lineLength = 0;
  for (let at = 0; at < chunk.length; at += 1) {
    const byte = chunk[at] as number;
    if (byte === LF) {
      if (lineLength === 0 || (lineLength === 1 && previous === CR)) return true;
      lineLength = 0;
    } else {
      if (byte === COLON && (previous === SPACE || previous === TAB)) return false;
      lineLength += 1;
    }
    previous = byte;
  }
  return false;
}

function mayBeHttp(bytes: Buffer): boolean {
  const length = Math.min(bytes.length, PROTOCOL.length);
  return bytes.compare(PROTOCOL, 0, length, 0, length) === 0;
}

function withoutSpaceBeforeColon(line: Buffer): Buffer {
  const colon = line.indexOf(COLON);
  let end = colon;
  while (end > 0 && (line[end - 1] === SPACE || line[end - 1] === TAB)) end -= 1;
  // White space alone is no name, and a line that begins with it continues the one before: undici refuses both.
  if (end === colon || end <= 0) return line;
  return Buffer.concat([line.subarray(0, end), line.subarray(colon)]);
}

function joined(pieces: readonly Buffer[]): Buffer {
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
}

/** The first field with that name, which is in lower case, in a flat list. */
export function fieldIn(headers: readonly Buffer[], name: string): string | undefined {
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const given = headers[at] as Buffer;
    if (given.length === name.length && given.toString('latin1').toLowerCase() === name)
      return (headers[at + 1] as Buffer).toString('latin1');
  }
  return undefined;
}
