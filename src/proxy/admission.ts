import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '../core/errors.ts';
import { GatewayError } from '../core/errors.ts';
import type { GatewayState } from '../core/lifecycle.ts';
import type { StatePages } from '../core/state-page.ts';
import { hasPassed } from '../core/via.ts';
import type { ClientShares } from './client-shares.ts';
import { hasHiddenDotSegment } from './dot-segments.ts';
import { hasForwardingHeaders } from './headers.ts';
import type { Pool } from './pool.ts';
import type { AdmittedRequest } from './request-context.ts';

export interface AdmissionOptions {
  readonly pools: PoolTable<Pool>;
  readonly statePages: StatePages;
  readonly gatewayState: GatewayState;
  readonly maxInFlight: number;
  readonly shares: Pick<ClientShares, 'hasTenth'>;
  /** Refuse forwarding headers from clients that are not trusted proxies, instead of replacing them. */
  readonly refusesUntrusted: boolean;
  /** The gateway's name in `Via`. */
  readonly via: string;
}

/** An accepted request. */
export interface Admitted {
  /** `undefined` for a request that the gateway itself answers: for its state page, or OPTIONS. */
  readonly pool: Pool | undefined;
  readonly framing: Framing;
}

/** Accepts or refuses requests and finds the pool of each, before anything is looked up or read for them. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #openToAll: number;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#openToAll = options.maxInFlight - Math.floor(options.maxInFlight / 10);
  }

  /**
   * @param inFlight the number of requests in the gateway, this one included
   * @throws GatewayError if the request is refused
   */
  admit(context: AdmittedRequest, inFlight: number): Admitted {
    const { pools, gatewayState, refusesUntrusted, via } = this.#options;
    const { raw } = context;
    if (!context.isHttp) throw new GatewayError('GW_REQUEST_MALFORMED');
    if (context.tooManyHeaders) throw new GatewayError('GW_HEADER_TOO_LARGE');
    const framing = checkFraming(raw);
    context.isLast = framing.upgrades;
    checkExpectation(raw);
    // The answer to TRACE would show the request's cookies to everyone who can read it.
    if (raw.method === 'TRACE') throw new GatewayError('GW_METHOD_UNSUPPORTED');
    if (raw.method === 'OPTIONS' && concernsGateway(context)) return { pool: undefined, framing };
    const target = originForm(context.request.originalUrl);
    if (target === undefined) throw new GatewayError('GW_REQUEST_MALFORMED');
    context.path = target.path;
    // Before the state page, so that a gateway whose instance is its own port does not take that page for a health page.
    if (raw.headers.via !== undefined && hasPassed(raw.headers.via, via)) throw new GatewayError('GW_LOOP');
    // Answered even when overloaded: taking this gateway out would only move the load to the others.
    if (this.#isStatePage(target.path)) {
      context.isStatePoll = raw.method === 'GET' || raw.method === 'HEAD';
      if (!context.isStatePoll) throw new GatewayError('GW_METHOD_UNSUPPORTED');
      return { pool: undefined, framing };
    }
    this.checkLoad(context, inFlight);
    if (refusesUntrusted && !context.connection.isTrusted && hasForwardingHeaders(raw))
      throw new GatewayError('GW_FORWARDED_UNTRUSTED');
    context.host = target.host ?? framing.host;
    const pool = pools.find(context.host, context.path);
    if (pool === undefined) throw new GatewayError('GW_POOL_UNKNOWN');
    context.pool = pool;
    if (gatewayState.inMaintenance) throw new GatewayError('GW_MAINTENANCE');
    return { pool, framing };
  }

  /**
   * The last tenth of all places is for clients that have less than a tenth of them.
   *
   * @param inFlight the number of requests in the gateway, this one included
   * @throws GatewayError if there are too many
   */
  checkLoad(context: AdmittedRequest, inFlight: number): void {
    const { maxInFlight, shares } = this.#options;
    if (inFlight <= this.#openToAll) return;
    if (inFlight > maxInFlight || shares.hasTenth(context.client ?? context.connection.peer))
      throw new GatewayError('GW_OVERLOADED');
  }

  #isStatePage(path: string): boolean {
    const { statePages } = this.#options;
    // Nearly no path needs to be normalised before the comparison.
    return statePages.paths.has(path) || (MAY_DIFFER.test(path) && statePages.covers(path));
  }
}

// An absolute form with an empty path stands for "*" (RFC 9112 §3.2.4).
const WHOLE_SERVER = /^(?:\*|https?:\/\/[^/?#@]+)$/i;

/**
 * Does OPTIONS ask about the gateway? Either by its target, or because `Max-Forwards` lets it go no further (RFC 9110
 * §7.6.2). Otherwise notes what remains of `Max-Forwards`.
 */
function concernsGateway(context: AdmittedRequest): boolean {
  if (WHOLE_SERVER.test(context.request.originalUrl)) return true;
  const field = context.raw.headers['max-forwards'];
  if (typeof field !== 'string' || !/^\d{1,9}$/.test(field)) return false;
  if (Number(field) === 0) return true;
  context.maxForwards = Number(field) - 1;
  return false;
}

// Matches a query, parameters of a segment, or encoded characters.
const MAY_DIFFER = /[?;%]/;

/** How the request is framed, according to its header. */
export interface Framing {
  /** The Content-Length, or `undefined` if there is none. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  readonly host: string | undefined;
  /**
   * It asks for another protocol. The gateway ignores that (RFC 9110 §7.8), but Node's parser drops what stands behind
   * the request in the same piece of input.
   */
  readonly upgrades: boolean;
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
  let upgrades = false;
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
      case 7:
        if (name.toLowerCase() === 'upgrade') upgrades = true;
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
  return { contentLength, chunked: transferEncoding !== undefined, host, upgrades };
}

/**
 * Refuses expectations that the gateway cannot meet (RFC 9110 §10.1.1). They do not count in HTTP/1.0.
 *
 * @throws GatewayError
 */
function checkExpectation({ headers, httpVersionMinor }: IncomingMessage): void {
  const { expect } = headers;
  if (expect === undefined || httpVersionMinor === 0) return;
  if (expect.trim().toLowerCase() !== '100-continue') throw new GatewayError('GW_EXPECTATION_FAILED');
}

function bodyMeansNothing(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'TRACE';
}

// A "." or ".." segment lets a path leave the prefix by which its pool was found. Servlet containers cut a segment at
// ";", so they read "..;x" as ".." too.
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:$|[/;])/;

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
  // Nearly no path contains a percent sign, and few a dot.
  if (
    pathname.includes('%')
      ? hasHiddenDotSegment(pathname)
      : pathname.includes('.') && DOT_SEGMENT.test(pathname)
  )
    return undefined;
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

export interface TriedRule<P> extends Rule<P> {
  readonly matches: boolean;
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
    return this.#rules.find((rule) => matches(rule, name, path))?.pool;
  }

  /** The rules up to the first one that matches, in the order in which they are tried. */
  tried(host: string | undefined, path: string): readonly TriedRule<P>[] {
    const name = host === undefined ? undefined : hostname(host);
    const found = this.#rules.findIndex((rule) => matches(rule, name, path));
    const rules = found < 0 ? this.#rules : this.#rules.slice(0, found + 1);
    return rules.map((rule, i) => ({ ...rule, matches: i === found }));
  }
}

function matches<P>(rule: Rule<P>, name: string | undefined, path: string): boolean {
  return (rule.host === undefined || rule.host === name) && startsWithPath(path, rule.path);
}

/** Without port, and without the dot that ends a fully qualified name. */
function hostname(host: string): string {
  return host.replace(/\.?(?::\d*)?$/, '').toLowerCase();
}

/** `/ici` covers `/ici`, `/ici/x` and `/ici?x`, and not `/icing`. */
function startsWithPath(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false;
  if (prefix.endsWith('/') || path.length === prefix.length) return true;
  const next = path.charAt(prefix.length);
  return next === '/' || next === '?';
}
