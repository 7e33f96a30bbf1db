import { isIPv4, isIPv6 } from 'node:net';
import { addressOfBytes, canonicalAddress } from '../identity/client-address.ts';

/**
 * The header with which a TCP balancer names its client: PROXY protocol 1 (a line of text) and 2 (binary), see
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. The npm packages for it expect the whole header at once
 * and do not limit its length. Data from a socket arrives in pieces and may be hostile.
 */

/** What the first bytes of a connection are. */
export type ProxyHeader =
  /** Too few bytes, or an incomplete header. */
  | { readonly kind: 'partial' }
  /** Not a header: HTTP, TLS or anything else. */
  | { readonly kind: 'absent' }
  /** The beginning is that of a header, but the rest is invalid. */
  | { readonly kind: 'malformed' }
  | {
      readonly kind: 'header';
      /** The length in bytes. The bytes after it are the client's. */
      readonly length: number;
      /**
       * The address of the client in its canonical spelling. `undefined` if the header names none, so the address of
       * the connection counts: for the balancer's own connections, and for protocols other than TCP over IP.
       */
      readonly source: string | undefined;
    };

/** Section 2.1: the longest line of version 1, including its CRLF. */
const MAX_LINE = 107;
const TEXT_START = Buffer.from('PROXY ');
/** Section 2.2: never the beginning of HTTP or TLS. */
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const FIXED_BYTES = 16;
/**
 * Addresses take 36 bytes (Unix sockets 216). The rest are extensions, mostly facts about the client's TLS. Senders
 * keep the header smaller than a TCP segment (section 2.2), so this is plenty.
 */
const MAX_BINARY = 2_048;

const PARTIAL: ProxyHeader = { kind: 'partial' };
const ABSENT: ProxyHeader = { kind: 'absent' };
const MALFORMED: ProxyHeader = { kind: 'malformed' };

/**
 * @param bytes everything that has arrived on the connection so far. Only `partial` can change with more bytes, and
 *   after 2 KB it no longer occurs.
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsWith(bytes, SIGNATURE)) {
    return bytes.length < FIXED_BYTES ? shortBinary(bytes) : readBinary(bytes);
  }
  if (beginsWith(bytes, TEXT_START)) return bytes.length < TEXT_START.length ? PARTIAL : readLine(bytes);
  return ABSENT;
}

/** Are the bytes the beginning of `start`, or do they begin with it? */
function beginsWith(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

/** Section 2.1. */
function readLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_LINE).indexOf('\r\n');
  if (end === -1) return bytes.length < MAX_LINE ? PARTIAL : MALFORMED;
  const line = bytes.toString('latin1', 0, end);
  const length = end + 2;
  // The rest of the line after UNKNOWN must be ignored.
  if (/^PROXY UNKNOWN(?: [^\r\n]*)?$/.test(line)) return { kind: 'header', length, source: undefined };
  const [, family, source = '', destination = '', ...ports] = line.split(' ');
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIpv6 : undefined;
  if (isAddress === undefined || !isAddress(source) || !isAddress(destination)) return MALFORMED;
  if (ports.length !== 2 || !ports.every(isPort)) return MALFORMED;
  return { kind: 'header', length, source: canonicalAddress(source) };
}

/** An address with a zone is refused, because the zone has a meaning only on the balancer's host. */
function isPlainIpv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

/** Checks an incomplete fixed part, so that an invalid header is refused as early as possible. */
function shortBinary(bytes: Buffer): ProxyHeader {
  const [versionAndCommand, family] = bytes.subarray(SIGNATURE.length);
  if (versionAndCommand !== undefined && !isCommand(versionAndCommand)) return MALFORMED;
  if (family !== undefined && versionAndCommand === RELAYED && !isFamily(family)) return MALFORMED;
  return PARTIAL;
}

const LOCAL = 0x20;
const RELAYED = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

function isCommand(byte: number): boolean {
  return byte === LOCAL || byte === RELAYED;
}

/** Unspecified, IPv4, IPv6 or Unix; unspecified, stream or datagram. */
function isFamily(byte: number): boolean {
  return byte >> 4 <= 3 && (byte & 0x0f) <= 2;
}

/** Section 2.2. */
function readBinary(bytes: Buffer): ProxyHeader {
  const command = bytes.readUInt8(12);
  const family = bytes.readUInt8(13);
  const length = FIXED_BYTES + bytes.readUInt16BE(14);
  if (!isCommand(command) || length > MAX_BINARY) return MALFORMED;
  if (command === RELAYED) {
    if (!isFamily(family)) return MALFORMED;
    // The addresses may be followed by extensions, which are ignored.
    if (length < FIXED_BYTES + addressBytes(family)) return MALFORMED;
  }
  if (bytes.length < length) return PARTIAL;
  const named = command === RELAYED ? sourceBytes(family) : 0;
  const source = named === 0 ? undefined : addressOfBytes(bytes.subarray(FIXED_BYTES, FIXED_BYTES + named));
  return { kind: 'header', length, source };
}

/** The length of source and destination with their ports; 0 if either half of the family is unspecified. */
function addressBytes(family: number): number {
  return (family & 0x0f) === 0 ? 0 : ([0, 12, 36, 216][family >> 4] ?? 0);
}

function sourceBytes(family: number): number {
  if (family === TCP_OVER_IPV4) return 4;
  return family === TCP_OVER_IPV6 ? 16 : 0;
}
