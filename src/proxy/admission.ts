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
  /** Whether fields that only trusted proxies may send are refused from other clients, not just replaced. */
  readonly refusesUntrusted: boolean;
}

/** A request that was let in. */
export interface Admitted {
  /** `undefined` for a request for the page that tells the state of the gateway. */
  readonly pool: Pool | undefined;
  readonly framing: Framing;
}

/** Decides which requests are let in, and which pool each is for, before anything is looked up or read for them. */
export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * @param inFlight requests in the gateway, this one included
   * @throws GatewayError where the request is refused
   */
  admit(context: RequestContext, inFlight: number): Admitted {
    const { pools, gatewayState, maxInFlight, refusesUntrusted } = this.#options;
    const { raw } = context;
    if (context.tooManyHeaders) throw new GatewayError('GW_HEADER_TOO_LARGE');
    const framing = checkFraming(raw);
    // TRACE would show the cookies of the request to everyone who can read the answer.
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
    // Nearly no path of a request has to be normalised first.
    return statePages.paths.has(path) || (MAY_DIFFER.test(path) && statePages.covers(path));
  }
}

// A query, parameters of a segment, or encoded characters.
const MAY_DIFFER = /[?;%]/;

/**
 * What Node's parser lets through and a proxy must not: each is a way to make
 * two HTTP parsers disagree about where a request ends or which host it is for.
 */
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
 * One pass over the raw header list, since this runs for every request.
 *
 * @throws GatewayError where the request must be refused
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
          // Several lines are one list (RFC 9110 §5.3); a parser that looked at one alone would see another framing.
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
    // RFC 9110 §9.3.1: a body here has no meaning and is how requests are smuggled.
    if (transferEncoding !== undefined || (contentLength ?? 0) > 0) refusal = 'GW_REQUEST_MALFORMED';
  }
  if (refusal !== undefined) throw new GatewayError(refusal);
  return { contentLength, chunked: transferEncoding !== undefined, host };
}

function bodyMeansNothing(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'TRACE';
}

// A "." or ".." segment, plain or percent-encoded: would let a path leave the prefix that it was matched by.
// Servlet containers cut a segment at ";", so to them "..;x" is ".." as well.
const DOT_SEGMENT = /(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:$|[/\\?;]|%2f|%5c|%3b)/i;

/**
 * The origin form (RFC 9112 §3.2.1) of a request target, exactly as it came, or
 * `undefined` if the target cannot be forwarded. A Host inside an absolute form
 * takes precedence over the header (RFC 9112 §3.2.2).
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
  // Nearly no path holds a dot or a percent sign; the rest need not pay for the expression.
  if ((pathname.includes('.') || pathname.includes('%')) && DOT_SEGMENT.test(pathname)) return undefined;
  return host === undefined ? { path } : { path, host };
}

export interface PoolMatch {
  /** Lower case, without port; empty means any. */
  readonly hosts: readonly string[];
  /** Prefixes on segment borders; `/` means any. */
  readonly paths: readonly string[];
}

interface Rule<P> {
  readonly host: string | undefined;
  readonly path: string;
  readonly pool: P;
}

/**
 * Finds the pool of a request: a named host before any host, then the longest
 * path prefix.
 */
export class PoolTable<P> {
  readonly #rules: readonly Rule<P>[];
  /** Where one pool serves everything there is nothing to look for. */
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
