export type SoapVersion = '1.1' | '1.2';

/** The parts of a Content-Type that matter to SOAP. Absent parameters are `undefined`. */
export interface MediaType {
  /** Type and subtype in lower case, `''` if there are none. */
  essence: string;
  charset: string | undefined;
  /** RFC 2046 section 5.1.1. */
  boundary: string | undefined;
  /** Content-ID of the root part, RFC 2387 section 3.2. */
  start: string | undefined;
  /** Media type of the root part, RFC 2387 section 3.1. */
  type: string | undefined;
  /** Media type of the envelope inside XOP packaging, XOP section 4. */
  startInfo: string | undefined;
  /** SOAP 1.2's successor of SOAPAction, RFC 3902 section 4. */
  action: string | undefined;
}

/** Parses a Content-Type leniently: omits what it cannot parse, uses the first of repeated parameters, never throws. */
export function parseMediaType(value: string | undefined): MediaType {
  const media: MediaType = {
    essence: '',
    charset: undefined,
    boundary: undefined,
    start: undefined,
    type: undefined,
    startInfo: undefined,
    action: undefined,
  };
  if (value === undefined) return media;

  let at = value.indexOf(';');
  if (at === -1) at = value.length;
  media.essence = value.slice(0, at).trim().toLowerCase();

  while (at < value.length) {
    const nameStart = at + 1;
    at = nameStart;
    while (at < value.length && value[at] !== '=' && value[at] !== ';') at++;
    if (value[at] !== '=') continue;
    const name = value.slice(nameStart, at).trim().toLowerCase();

    at++;
    while (value[at] === ' ' || value[at] === '\t') at++;
    let parameter = '';
    if (value[at] === '"') {
      at++;
      let from = at;
      for (; at < value.length && value[at] !== '"'; at++) {
        if (value[at] !== '\\') continue;
        parameter += value.slice(from, at);
        from = ++at;
      }
      parameter += value.slice(from, at);
      at = endOf(value, at);
    } else {
      const from = at;
      at = endOf(value, at);
      parameter = value.slice(from, at).trim();
    }
    assign(media, name, parameter);
  }
  return media;
}

function endOf(value: string, from: number): number {
  const semicolon = value.indexOf(';', from);
  return semicolon === -1 ? value.length : semicolon;
}

/** Some clients put the charset in apostrophes, which are no quotes in HTTP. */
function unquoted(parameter: string): string {
  return parameter.startsWith("'") && parameter.endsWith("'") ? parameter.slice(1, -1) : parameter;
}

function assign(media: MediaType, name: string, parameter: string): void {
  switch (name) {
    case 'charset':
      media.charset ??= unquoted(parameter).toLowerCase();
      break;
    case 'boundary':
      media.boundary ??= parameter;
      break;
    case 'start':
      media.start ??= parameter;
      break;
    case 'type':
      media.type ??= parameter.toLowerCase();
      break;
    case 'start-info':
      media.startInfo ??= parameter.toLowerCase();
      break;
    case 'action':
      media.action ??= parameter;
      break;
  }
}

/**
 * The SOAP version that a request's headers announce, or `undefined` if they announce none. A SOAPAction header, even
 * an empty one, means SOAP 1.1, but counts only if the Content-Type announces nothing.
 */
export function soapVersionOf(
  contentType: string | undefined,
  soapAction?: string | undefined,
): SoapVersion | undefined {
  return versionOf(parseMediaType(contentType)) ?? (soapAction === undefined ? undefined : '1.1');
}

function versionOf(media: MediaType): SoapVersion | undefined {
  switch (media.essence) {
    case 'multipart/related':
      return versionOfEssence(media.type) ?? versionOfEssence(media.startInfo);
    case 'application/xop+xml':
      return versionOfEssence(media.type);
    default:
      return versionOfEssence(media.essence);
  }
}

/** `start-info` can have parameters of its own, such as `application/soap+xml; action="urn:x"`. */
function versionOfEssence(type: string | undefined): SoapVersion | undefined {
  if (type === undefined) return undefined;
  const semicolon = type.indexOf(';');
  const essence = semicolon === -1 ? type : type.slice(0, semicolon).trim();
  if (essence === 'text/xml') return '1.1';
  return essence === 'application/soap+xml' ? '1.2' : undefined;
}
