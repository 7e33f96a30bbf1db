import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { FAILBACK_EXPECTS, isTimeZone, parseFailback, ZONE_EXPECTS } from '../core/view/failback.ts';
import { compilePattern, countGroups } from './pattern.ts';

/** The result of reading a text: its canonical form, or its problem. */
export type Reading = { readonly value: string } | { readonly problem: string };

interface Syntax {
  /** Completes "must be …". */
  readonly expects: string;
  read(text: string): Reading;
}

const wrong = (problem: string): Reading => ({ problem });

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `host:port` or `[v6]:port`; the host comes without brackets, as `server.listen` wants it. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  if (port > 65_535 || (match[1] !== undefined && isIP(host) !== 6)) return undefined;
  return { host, port };
}

export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** `200` or `200-299`, both ends included. */
export function parseStatusRange(text: string): StatusRange | undefined {
  const match = /^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$/.exec(text);
  if (match === null) return undefined;
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  return from <= to ? { from, to } : undefined;
}

function readPattern(text: string): Reading {
  try {
    compilePattern(text);
    return { value: text };
  } catch (error) {
    return wrong((error as Error).message);
  }
}

function readCapture(text: string): Reading {
  const reading = readPattern(text);
  if ('problem' in reading) return reading;
  const groups = countGroups(text);
  if (groups === 1) return reading;
  return wrong(
    `must have exactly one capture group, (…), around the value, but has ${groups}; write (?:…) for all other groups`,
  );
}

function readInstanceUrl(text: string): Reading {
  const url = parseUrl(text, ['http:', 'https:']);
  if (url === undefined) return wrong('must be http://host[:port] or https://host[:port]');
  if (url.username !== '' || url.password !== '')
    return wrong('must not have a user or password; the gateway forwards those of the client');
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    return wrong(`must end after host and port, as in ${url.origin}; the path comes from the client`);
  return { value: url.origin };
}

function readAdminUrl(text: string): Reading {
  const url = parseUrl(text, ['http:', 'https:']);
  if (url === undefined || url.href !== `${url.origin}/`)
    return wrong('must be http://host[:port] or https://host[:port], without a path');
  return { value: url.origin };
}

// Its messages never quote the text, because it may contain a password.
function readRedisUrl(text: string): Reading {
  const url = parseUrl(text, ['redis:', 'rediss:']);
  if (url === undefined || url.hostname === '')
    return wrong('must be redis://host[:port][/database] or rediss://…');
  if (!/^\/?[0-9]*$/.test(url.pathname)) return wrong('may have only a database number after host and port');
  if (url.search !== '' || url.hash !== '')
    return wrong('must not have a query or fragment; use the options under affinity.redis');
  return { value: text };
}

function parseUrl(text: string, protocols: readonly string[]): URL | undefined {
  // URL.parse came with Node 22.1.
  if (!URL.canParse(text) || /\s/.test(text)) return undefined;
  const url = new URL(text);
  return protocols.includes(url.protocol) && text.toLowerCase().startsWith(`${url.protocol}//`)
    ? url
    : undefined;
}

function readNetwork(text: string): Reading {
  const [address = ''] = text.split('/');
  const network = text === address ? `${address}/${isIP(address) === 6 ? 128 : 32}` : text;
  // ipaddr.js alone would also take octal numbers and omitted parts.
  if (isIP(address) === 0 || !ipaddr.isValidCIDR(network))
    return wrong('must be a network such as 10.0.0.0/8 or 2001:db8::/32, or one address');
  const [, bits] = ipaddr.parseCIDR(network);
  return { value: `${address}/${bits}` };
}

function readHost(text: string): Reading {
  // A fully qualified name may end with a dot; requests are compared without it.
  const host = text.toLowerCase().replace(/\.$/, '');
  if (/^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])$/.test(host)) return { value: host };
  return wrong('must be a host name without scheme, port and path, such as ici.example.com');
}

/** The tokens of a JSON Pointer (RFC 6901), unescaped; `undefined` if the text is not a pointer. */
export function parsePointer(text: string): string[] | undefined {
  if (text !== '' && !text.startsWith('/')) return undefined;
  if (/~(?![01])/.test(text)) return undefined;
  const tokens = text.split('/').slice(1);
  return tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

export type SyntaxName =
  | 'address'
  | 'status'
  | 'pattern'
  | 'capture'
  | 'instanceUrl'
  | 'adminUrl'
  | 'redisUrl'
  | 'network'
  | 'host'
  | 'pointer'
  | 'failback'
  | 'zone';

/** Syntaxes that a JSON Schema pattern alone cannot check. */
export const SYNTAX: Readonly<Record<SyntaxName, Syntax>> = {
  address: {
    expects: 'host:port, such as 127.0.0.1:8080 or [::1]:8080',
    read: (text) =>
      parseAddress(text) === undefined
        ? wrong('must be host:port with a port from 0 to 65535, such as 127.0.0.1:8080 or [::1]:8080')
        : { value: text },
  },
  status: {
    expects: 'a status such as 200 or a range such as 200-299',
    read: (text) =>
      parseStatusRange(text) === undefined
        ? wrong('must be a status from 100 to 599 such as 200, or a rising range such as 200-299')
        : { value: text },
  },
  pattern: { expects: 'a regular expression', read: readPattern },
  capture: { expects: 'a regular expression with one capture group', read: readCapture },
  instanceUrl: { expects: 'http://host[:port] or https://host[:port]', read: readInstanceUrl },
  adminUrl: { expects: 'http://host[:port] or https://host[:port]', read: readAdminUrl },
  redisUrl: { expects: 'redis://host[:port] or rediss://host[:port]', read: readRedisUrl },
  network: { expects: 'a network such as 10.0.0.0/8', read: readNetwork },
  host: { expects: 'a host name such as ici.example.com', read: readHost },
  pointer: {
    expects: 'a JSON Pointer such as /process/started',
    read: (text) =>
      parsePointer(text) === undefined
        ? wrong(
            'must be a JSON Pointer: each step after a "/", as in /process/started, with ~1 for "/" and ~0 for "~"',
          )
        : { value: text },
  },
  failback: {
    expects: FAILBACK_EXPECTS,
    read: (text) =>
      parseFailback(text) === undefined ? wrong(`must be ${FAILBACK_EXPECTS}`) : { value: text },
  },
  zone: {
    expects: ZONE_EXPECTS,
    read: (text) => (isTimeZone(text) ? { value: text } : wrong(`must be ${ZONE_EXPECTS}`)),
  },
};
