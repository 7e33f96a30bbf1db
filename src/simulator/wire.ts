import type { SoapVersion } from '../soap/media-type.ts';
import { SOAP_NAMESPACES, writeEnvelope } from '../soap/writer.ts';
import { escapeXml } from '../soap/xml-text.ts';
import { DIALECTS } from './dialects.ts';

/**
 * The messages between the simulators. The wire format of ICI is not public. The methods are those that SAP and
 * connector vendors name in public texts. The namespace, the wrapper style and the names of the parameters are
 * placeholders, chosen only here. Nothing outside the simulators may depend on them.
 */
const NAMESPACE = 'urn:PLACEHOLDER:IciSimulation';

/** The names of SAP Note 1640673, which are public. */
export const USER_HEADER = 'soapuser';
export const SESSION_COOKIE = 'WS_SESSION_ID';

/** An id from the client that a proxy forwards unchanged: a receiver that sees it twice got the request twice. */
export const DELIVERY_HEADER = 'x-sim-delivery';
/** Asks the connector to answer with the request body, byte for byte. */
export const ECHO_HEADER = 'x-sim-echo';
/** The connector that answered, and its incarnation. */
export const CONNECTOR_HEADER = 'x-connector';
export const INCARNATION_HEADER = 'x-incarnation';

/** The fault string that makes SAP log an agent on again. */
export const UNKNOWN_SESSION = 'unknown session';
/** The fault string of a request that names only a call, at a connector without that call. */
export const UNKNOWN_CALL = 'unknown call';

/** Work modes with a fixed meaning in SAP; all others are configuration. */
export const LOGGED_OFF = '1';
export const READY = '2';
export const NOT_READY = '3';

/** Customers number their own work modes from here; a language has at most 47. */
export const FIRST_CUSTOM_WORKMODE = 1_001;
export const CUSTOM_WORKMODES = 47;

/** The search for all agents, in place of an agent's name. */
export const EVERYONE = '*';

/** Methods whose caller stands in the header at best: their body names an object, or another agent. */
export const OBJECT_METHODS: ReadonlySet<string> = new Set(['holdCall', 'transferCall']);

/**
 * A password in the text with which agents choose their work center. It is a bait: no log line, metric or answer of a
 * gateway may hold it.
 */
export const PASSWORD = 'Sim-Passw0rd-never-shown';

/** Parameters in order; a list is written as `item` elements. */
export type Parameters = readonly (readonly [name: string, value: string | readonly string[]])[];

export function writeMessage(version: SoapVersion, method: string, parameters: Parameters): string {
  return writeEnvelope(
    version,
    `<m:${method} xmlns:m="${NAMESPACE}">${writeParameters(parameters)}</m:${method}>`,
  );
}

export function writeParameters(parameters: Parameters): string {
  return parameters.map(([name, value]) => `<${name}>${writeValue(value)}</${name}>`).join('');
}

function writeValue(value: string | readonly string[]): string {
  if (typeof value === 'string') return escapeXml(value);
  return value.map((item) => `<item>${escapeXml(item)}</item>`).join('');
}

/**
 * Decodes a body. The encoding comes from the byte order mark, else from
 * the charset of the media type, else from the XML declaration, else UTF-8 (RFC 7303,
 * section 3). An encoding unknown to Node is read as Latin-1.
 */
export function decodeBody(body: Uint8Array, contentType = ''): string {
  const declared =
    encodingByMark(body) ??
    /charset\s*=\s*"?([^\s";]+)/i.exec(contentType)?.[1] ??
    /^<\?xml[^>]*encoding\s*=\s*["']([^"']+)["']/.exec(
      Buffer.from(body.subarray(0, 200)).toString('latin1'),
    )?.[1] ??
    'utf-8';
  try {
    return new TextDecoder(declared).decode(body);
  } catch {
    return Buffer.from(body).toString('latin1');
  }
}

function encodingByMark(body: Uint8Array): string | undefined {
  const [first, second, third] = body;
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8';
  return undefined;
}

/**
 * The parts of a message that the connector reads. Deliberately not the gateway's parser, so that each checks the
 * other.
 */
export interface Message {
  readonly version: SoapVersion;
  /** The local name of the first element in the Body; `''` if there is none. */
  readonly method: string;
  parameter(name: string): string | undefined;
}

const USER_ELEMENTS = [
  ...new Set(Object.values(DIALECTS).flatMap(({ userElement, workElement }) => [userElement, workElement])),
];

/** The agent who sends a message, if its body says so; `''` if it does not. */
export function callerOf(message: Message): string {
  if (OBJECT_METHODS.has(message.method)) return '';
  const named = USER_ELEMENTS.map((name) => message.parameter(name)).find((user) => user !== undefined);
  return named === undefined || named === EVERYONE ? '' : named;
}

const METHOD = /<(?:[^\s<>/:!?]+:)?Body(?:\s[^>]*)?>(?:\s|<!--[\s\S]*?-->)*<(?:[^\s<>/:!?]+:)?([^\s<>/:!?]+)/;

export function readMessage(text: string): Message {
  const method = METHOD.exec(text)?.[1] ?? '';
  return {
    version: text.includes(SOAP_NAMESPACES['1.2']) ? '1.2' : '1.1',
    // SAP's texts write `iciUser.getAttributes` for the method getAttributes.
    method: method.slice(method.lastIndexOf('.') + 1),
    parameter: (name) => readElement(text, name),
  };
}

const elementPatterns = new Map<string, RegExp>();

function elementPattern(name: string): RegExp {
  let pattern = elementPatterns.get(name);
  if (pattern === undefined) {
    pattern = new RegExp(
      `<(?:[^\\s<>/:!?]+:)?${name}(?:\\s[^>]*)?>\\s*(?:<!\\[CDATA\\[([\\s\\S]*?)\\]\\]>|([^<]*))`,
    );
    elementPatterns.set(name, pattern);
  }
  return pattern;
}

/** The text of the first element with this local name, trimmed, its references resolved. */
export function readElement(text: string, name: string): string | undefined {
  const found = elementPattern(name).exec(text);
  if (found === null) return undefined;
  return (found[1] ?? resolveReferences(found[2] ?? '')).trim();
}

const CHARACTERS: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

function resolveReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([\da-f]{1,6}));/gi,
    (whole, name, decimal, hex) => {
      if (name !== undefined) return CHARACTERS[name as string] ?? whole;
      const code = decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}

/** The raw value of a cookie: opaque, never decoded. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}
