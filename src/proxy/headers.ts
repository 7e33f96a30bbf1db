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

/** Forwarding headers. The gateway writes them, and keeps a client's values only if the client is a trusted proxy. */
const FORWARDING_HEADERS: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'forwarded',
]);

/** Is there a header that only trusted proxies may send? */
export function hasForwardingHeaders({ headers }: IncomingMessage): boolean {
  for (const name of FORWARDING_HEADERS) if (name in headers) return true;
  return false;
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
    if (FORWARDING_HEADERS.has(lower)) {
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
    headers.push(name, value);
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

function without(headers: readonly string[], names: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!names.includes(name.toLowerCase())) kept.push(name, headers[i + 1] as string);
  }
  return kept;
}
