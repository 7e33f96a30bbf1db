import type { MediaType } from './media-type.ts';
import type { ScanProblem } from './scan-result.ts';

// RFC 2046 section 5.1.1.
const BOUNDARY_LIMIT = 70;
const HEADER_LIMIT = 8 * 1024;
const PART_LIMIT = 64;

const CR = 0x0d;
const LF = 0x0a;
const HYPHEN = 0x2d;
const EQUALS = 0x3d;

/** The part of a multipart/related message that holds the envelope. */
export interface RootPart {
  readonly bytes: Buffer;
  readonly contentType: string | undefined;
  /** False if the bytes end before the part does. */
  readonly complete: boolean;
}

/**
 * Finds the root part of a SOAP message with attachments or in XOP packaging. That is the part with the Content-ID of
 * the `start` parameter, else the first part (RFC 2387 section 3.2). Lines may end with LF alone.
 *
 * @param complete false if the bytes are only the beginning of the message
 */
export function findRootPart(bytes: Buffer, media: MediaType, complete: boolean): RootPart | ScanProblem {
  const { boundary, start } = media;
  if (boundary === undefined || boundary === '' || boundary.length > BOUNDARY_LIMIT) return 'multipart';
  const ranOut: ScanProblem = complete ? 'multipart' : 'truncated';
  const delimiter = Buffer.from(`--${boundary}`, 'latin1');

  let at = findDelimiter(bytes, delimiter, 0);
  for (let parts = 0; parts < PART_LIMIT; parts++) {
    if (at === -1) return ranOut;
    const line = at + delimiter.length;
    if (bytes[line] === HYPHEN && bytes[line + 1] === HYPHEN) return 'multipart';
    const headerStart = bytes.indexOf(LF, line) + 1;
    if (headerStart === 0) return ranOut;
    const bodyStart = endOfHeader(bytes, headerStart);
    if (bodyStart === -1) return bytes.length - headerStart > HEADER_LIMIT ? 'multipart' : ranOut;
    const next = findDelimiter(bytes, delimiter, bodyStart);
    const header = bytes.toString('latin1', headerStart, bodyStart);
    if (start === undefined || sameContentId(start, headerField(header, 'content-id'))) {
      const bodyEnd = next === -1 ? bytes.length : beforeLineEnd(bytes, bodyStart, next);
      return decodePart(bytes.subarray(bodyStart, bodyEnd), header, next !== -1 || complete);
    }
    at = next;
  }
  return 'multipart';
}

/** The next delimiter line. `from` is the beginning of a line. */
function findDelimiter(bytes: Buffer, delimiter: Buffer, from: number): number {
  let at = bytes.indexOf(delimiter, from);
  while (at !== -1) {
    if (at === from || bytes[at - 1] === LF) {
      let end = at + delimiter.length;
      if (bytes[end] === HYPHEN && bytes[end + 1] === HYPHEN) return at;
      while (bytes[end] === 0x20 || bytes[end] === 0x09) end++;
      if (bytes[end] === LF || bytes[end] === CR) return at;
    }
    at = bytes.indexOf(delimiter, at + 1);
  }
  return -1;
}

/** The first byte after the empty line that ends a part's header, or -1. */
function endOfHeader(bytes: Buffer, from: number): number {
  let line = from;
  while (line - from <= HEADER_LIMIT) {
    const end = bytes.indexOf(LF, line);
    if (end === -1) return -1;
    if (end === line || (end === line + 1 && bytes[line] === CR)) return end + 1;
    line = end + 1;
  }
  return -1;
}

/** The end of a part's body: the line break before a delimiter belongs to the delimiter. */
function beforeLineEnd(bytes: Buffer, from: number, delimiterAt: number): number {
  let end = delimiterAt;
  if (end > from && bytes[end - 1] === LF) end--;
  if (end > from && bytes[end - 1] === CR) end--;
  return end;
}

function headerField(header: string, name: string): string | undefined {
  // A line that begins with white space continues the one before (RFC 5322 section 2.2.3).
  for (const line of header.replace(/\r?\n[ \t]+/g, ' ').split('\n')) {
    const colon = line.indexOf(':');
    if (colon !== -1 && line.slice(0, colon).trim().toLowerCase() === name)
      return line.slice(colon + 1).trim();
  }
  return undefined;
}

/** Ignores angle brackets: `start` should have them like the header, but often has none. */
function sameContentId(start: string, contentId: string | undefined): boolean {
  return contentId !== undefined && bareContentId(start) === bareContentId(contentId);
}

function bareContentId(id: string): string {
  const trimmed = id.trim();
  return trimmed.startsWith('<') && trimmed.endsWith('>') ? trimmed.slice(1, -1) : trimmed;
}

function decodePart(raw: Buffer, header: string, complete: boolean): RootPart | ScanProblem {
  const contentType = headerField(header, 'content-type');
  const encoding = headerField(header, 'content-transfer-encoding') ?? 'binary';
  switch (encoding.toLowerCase()) {
    case 'binary':
    case '8bit':
    case '7bit':
      return { bytes: raw, contentType, complete };
    case 'base64':
      return { bytes: Buffer.from(raw.toString('latin1'), 'base64'), contentType, complete };
    case 'quoted-printable': {
      const bytes = decodeQuotedPrintable(raw);
      return bytes === undefined ? 'multipart' : { bytes, contentType, complete };
    }
    default:
      return 'multipart';
  }
}

/** RFC 2045 section 6.7. Omits an escape that is cut off at the end. */
function decodeQuotedPrintable(raw: Buffer): Buffer | undefined {
  const decoded = Buffer.allocUnsafe(raw.length);
  let length = 0;
  for (let at = 0; at < raw.length; at++) {
    const byte = raw[at] as number;
    if (byte !== EQUALS) {
      decoded[length++] = byte;
      continue;
    }
    // White space between a soft line break and the end of its line is padding.
    let end = at + 1;
    while (raw[end] === 0x20 || raw[end] === 0x09) end++;
    if (raw[end] === CR && end + 1 < raw.length) end++;
    if (end >= raw.length) break;
    if (raw[end] === LF) {
      at = end;
      continue;
    }
    if (at + 2 >= raw.length) break;
    const value = hexValue(raw[at + 1] as number) * 16 + hexValue(raw[at + 2] as number);
    if (Number.isNaN(value)) return undefined;
    decoded[length++] = value;
    at += 2;
  }
  return decoded.subarray(0, length);
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Number.NaN;
}
