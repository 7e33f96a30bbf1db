import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '../core/errors.ts';
import { GatewayError } from '../core/errors.ts';
import type { GatewayState } from '../core/lifecycle.ts';
import type { StatePages } from '../core/state-page.ts';
import { hasForwardingHeaders } from './headers.ts';
import type { Pool } from './pool.ts';
import type { RequestContext } from './request-context.ts';

export interface AdmissionOptions {
  readonly pools: PoolTable<Pool>;
  readonly statePages: StatePages;
  readonly gatewayState: GatewayState;
  readonly maxInFlight: number;
  /** Refuse forwarding headers from clients that are not trusted proxies, instead of replacing them. */
  readonly refusesUntrusted: boolean;
}

/** An accepted request. */
export interface Admitted {
  /** `undefined` for a request for the gateway's state page. */
  readonly pool: Pool | undefined;
  readonly framing: Framing;
}

/** Accepts or refuses requests and finds the pool of each, before anything is looked up or read for them. */
export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * @param inFlight the number of requests in the gateway, this one included
   * @throws GatewayError if the request is refused
   */
  admit(context: RequestContext, inFlight: number): Admitted {
    const { pools, gatewayState, maxInFlight, refusesUntrusted } = this.#options;
    const { raw } = context;
    if (context.tooManyHeaders) throw new GatewayError('GW_HEADER_TOO_LARGE');
    const framing = checkFraming(raw);
    // The answer to TRACE would show the request's cookies to everyone who can read it.
    if (raw.method === 'TRACE') throw new GatewayError('GW_METHOD_UNSUPPORTED');
    const target = originForm(context.request.originalUrl);
    if (target === undefined) throw new GatewayError('GW_REQUEST_MALFORMED');
    context.path = target.path;
    // Answered even when overloaded: taking this gateway out would only move the load to the others.
    if (this.#isStatePage(target.path)) {
      context.isStatePoll = raw.method === 'GET' || raw.method === 'HEAD';
      if (!context.isStatePoll) throw new GatewayError('GW_METHOD_UNSUPPORTED');
      return { pool: undefined, framing };
    }
    if (inFlight > maxInFlight) throw new GatewayError('GW_OVERLOADED');
    if (refusesUntrusted && !context.connection.isTrusted && hasForwardingHeaders(raw))
      throw new GatewayError('GW_FORWARDED_UNTRUSTED');
    context.host = target.host ?? framing.host;
    const pool = pools.find(context.host, context.path);
    if (pool === undefined) throw new GatewayError('GW_POOL_UNKNOWN');
    context.pool = pool;
    if (gatewayState.inMaintenance) throw new GatewayError('GW_MAINTENANCE');
    pool.lastRequestAt = context.startedAt;
    return { pool, framing };
  }

  #isStatePage(path: string): boolean {
    const { statePages } = this.#options;
    // Nearly no path needs to be normalised before the comparison.
    return statePages.paths.has(path) || (MAY_DIFFER.test(path) && statePages.covers(path));
  }
}

// Matches a query, parameters of a segment, or encoded characters.
const MAY_DIFFER = /[?;%]/;

/** How the request is framed, according to its header. */
export interface Framing {
  /** The Content-Length, or `undefined` if there is none. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  readonly host: string | undefined;
}

// RFC 3986 §3.2.2 host and optional port, without userinfo: what RFC 9110 §7.2 allows in Host.
const HOST =
  /^(?:\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\d{0,5})?$/;

/**
 * Refuses requests that Node's parser accepts and a proxy must not. Each of them could make two HTTP parsers disagree
 * about the end of the request or about its host. Makes one pass over the raw header, because it runs for every
 * request.
 *
 * @throws GatewayError if the request must be refused
 */
function checkFraming(raw: IncomingMessage): Framing {
  const { rawHeaders } = raw;
  let host: string | undefined;
  let hosts = 0;
  let contentLength: number | undefined;
  let transferEncoding: string | undefined;
  let refusal: ErrorCode | undefined;

  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') {
          hosts += 1;
          host = value;
        }
        break;
      case 14:
        // The parser has already refused repeated, signed and non-decimal lengths.
        if (name.toLowerCase() === 'content-length') contentLength = Number(value);
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') {
          // Several lines form one list (RFC 9110 §5.3); a parser that reads only one would see another framing.
          const codings = value.trim().toLowerCase();
          transferEncoding = transferEncoding === undefined ? codings : `${transferEncoding}, ${codings}`;
        }
        break;
    }
  }

  if (raw.httpVersionMajor === 0) refusal = 'GW_REQUEST_MALFORMED';
  else if (raw.httpVersionMajor !== 1) refusal = 'GW_VERSION_UNSUPPORTED';
  // RFC 9112 §3.2: a 1.1 request needs exactly one Host, and a valid one.
  else if (hosts > 1 || (host === undefined && raw.httpVersionMinor === 1)) refusal = 'GW_REQUEST_MALFORMED';
  else if (host !== undefined && !HOST.test(host)) refusal = 'GW_REQUEST_MALFORMED';
  else if (transferEncoding !== undefined) {
    // RFC 9112 §6.1: Transfer-Encoding in a 1.0 message is faulty framing; an unknown coding is 501.
    if (raw.httpVersionMinor === 0 || contentLength !== undefined) refusal = 'GW_REQUEST_MALFORMED';
    else if (transferEncoding !== 'chunked') refusal = 'GW_TRANSFER_CODING_UNSUPPORTED';
  }
  const method = raw.method ?? '';
  if (refusal === undefined && bodyMeansNothing(method)) {
    // RFC 9110 §9.3.1: a body has no meaning here and serves to smuggle requests.
    if (transferEncoding !== undefined || (contentLength ?? 0) > 0) refusal = 'GW_REQUEST_MALFORMED';
  }
  if (refusal !== undefined) throw new GatewayError(refusal);
  return { contentLength, chunked: transferEncoding !== undefined, host };
}

function bodyMeansNothing(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'TRACE';
}

// A "." or ".." segment, plain or percent-encoded, lets a path leave the prefix by which its pool was found.
// Servlet containers cut a segment at ";", so they read "..;x" as ".." too.
const DOT_SEGMENT = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:$|[/\\?;]|%2f|%5c|%3b)/i;

/**
 * The origin form (RFC 9112 §3.2.1) of a request target, exactly as sent, or `undefined` if the target cannot be
 * forwarded. The host of an absolute form takes precedence over the Host header (RFC 9112 §3.2.2).
 */
export function originForm(target: string): { path: string; host?: string } | undefined {
  let path = target;
  let host: string | undefined;
  if (!target.startsWith('/')) {
    const absolute = /^https?:\/\/([^/?#]+)(.*)$/is.exec(target);
    if (absolute === null || !HOST.test(absolute[1] as string)) return undefined;
    host = absolute[1] as string;
    const rest = absolute[2] as string;
    path = rest.startsWith('/') ? rest : `/${rest}`;
  }
  if (path.includes('#') || path.includes('\\')) return undefined;
  const query = path.indexOf('?');
  const pathname = query < 0 ? path : path.slice(0, query);
  // Nearly no path contains a dot or a percent sign, so this check saves the cost of the regular expression.
  if ((pathname.includes('.') || pathname.includes('%')) && DOT_SEGMENT.test(pathname)) return undefined;
  return host === undefined ? { path } : { path, host };
}

export interface PoolMatch {
  /** In lower case, without port; empty means any host. */
  readonly hosts: readonly string[];
  /** Prefixes that end at a segment border; `/` means any path. */
  readonly paths: readonly string[];
}

interface Rule<P> {
  readonly host: string | undefined;
  readonly path: string;
  readonly pool: P;
}

/** Finds the pool of a request: a rule with its host before one for any host, then the longest path prefix. */
export class PoolTable<P> {
  readonly #rules: readonly Rule<P>[];
  /** The only pool, if it serves every request: a shortcut. */
  readonly #only: P | undefined;

  constructor(entries: readonly { readonly match: PoolMatch; readonly pool: P }[]) {
    this.#rules = entries
      .flatMap(({ match, pool }) =>
        (match.hosts.length === 0 ? [undefined] : match.hosts).flatMap((host) =>
          match.paths.map((path): Rule<P> => ({ host, path, pool })),
        ),
      )
      .sort(
        (a, b) =>
          Number(b.host !== undefined) - Number(a.host !== undefined) || b.path.length - a.path.length,
      );
    const [first] = this.#rules;
    this.#only =
      this.#rules.length === 1 && first?.host === undefined && first?.path === '/' ? first.pool : undefined;
  }

  /** @param path origin form, query included */
  find(host: string | undefined, path: string): P | undefined {
    if (this.#only !== undefined) return this.#only;
    const name = host === undefined ? undefined : hostname(host);
    return this.#rules.find(
      (rule) => (rule.host === undefined || rule.host === name) && startsWithPath(path, rule.path),
    )?.pool;
  }
}

function hostname(host: string): string {
  return host.replace(/:\d*$/, '').toLowerCase();
}

/** `/ici` covers `/ici`, `/ici/x` and `/ici?x`, and not `/icing`. */
function startsWithPath(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  if (prefix.endsWith('/') || path.length === prefix.length) return true;
  const next = path.charAt(prefix.length);
  return next === '/' || next === '?';
}
