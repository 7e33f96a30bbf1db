import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '../core/errors.ts';

/**
 * What Node's parser lets through and a proxy must not: each is a way to make
 * two HTTP parsers disagree about where a request ends or whom it is for.
 *
 * One pass over the raw header list, since this runs for every request.
 */
export interface Framing {
  /** Why the request must be refused, or `undefined`. */
  readonly refusal: ErrorCode | undefined;
  /** The Content-Length, or `undefined` if there is none. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  readonly host: string | undefined;
}

// RFC 3986 §3.2.2 host and optional port, without userinfo: what RFC 9110 §7.2 allows in Host.
const HOST =
  /^(?:\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::\d{0,5})?$/;

export function checkFraming(raw: IncomingMessage): Framing {
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
          // Several lines are one list (RFC 9110 §5.3); whoever looked at one alone would see another framing.
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
  return { refusal, contentLength, chunked: transferEncoding !== undefined, host };
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
