import { XMLBuilder, XMLParser, XMLValidator } from 'fast-xml-parser';
import { SOAP_NAMESPACES, writeEnvelope, writeFault as writeSoapFault } from '../soap/writer.ts';
import { SoapFault } from './soap-fault.ts';

const { '1.1': SOAP_NAMESPACE, '1.2': SOAP_12_NAMESPACE } = SOAP_NAMESPACES;
export const SAPCONTROL_NAMESPACE = 'urn:SAPControl';

/** The first element in a SOAP Body: the method and its arguments. */
export interface Call {
  readonly method: string;
  /** The values of its children, by local name. */
  readonly values: ReadonlyMap<string, string>;
}

// Values stay text, because 00123 is not a number. The parser decodes numeric references only along with HTML entities.
const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: false,
  attributeNamePrefix: '',
  parseTagValue: false,
  parseAttributeValue: false,
  htmlEntities: true,
  ignorePiTags: true,
  ignoreDeclaration: true,
  maxNestedTags: 32,
});

/**
 * Parses a SOAP 1.1 message. Some clients use prefixes, others default namespaces, so a
 * child of the method may or may not be in its namespace. Children therefore match
 * by local name only.
 *
 * @throws SoapFault for any other input
 */
export function readCall(body: Uint8Array): Call {
  const text = decoded(body);
  // No message needs a DOCTYPE, and entity expansion and file-reading attacks all start with one.
  if (/<!DOCTYPE/i.test(text)) throw malformed('a document type declaration is not accepted; leave it out');
  const [root, ...others] = elementsOf(parsed(text), OUTERMOST);
  if (root === undefined || others.length > 0) throw malformed('it must have one root element');
  if (root.namespace === SOAP_12_NAMESPACE)
    throw new SoapFault('VersionMismatch', 'this service speaks SOAP 1.1; send its envelope');
  if (root.local !== 'Envelope' || root.namespace !== SOAP_NAMESPACE)
    throw new SoapFault('VersionMismatch', `the root must be Envelope in ${SOAP_NAMESPACE}`);

  const parts = root.children();
  for (const header of parts.filter((part) => isSoap(part, 'Header'))) refuseMandatory(header);
  const [soapBody, second] = parts.filter((part) => isSoap(part, 'Body'));
  if (soapBody === undefined || second !== undefined) throw malformed('the Envelope must have one Body');
  const [call, another] = soapBody.children();
  if (call === undefined || another !== undefined) throw malformed('the Body must have one element');
  if (call.namespace !== SAPCONTROL_NAMESPACE)
    throw new SoapFault('Client', `the element in the Body must be in the namespace ${SAPCONTROL_NAMESPACE}`);
  return { method: call.local, values: new Map(call.children().map((child) => [child.local, child.text()])) };
}

// An error message may quote the request, which may be long.
const LONGEST_MESSAGE = 500;

/** A Fault has HTTP status 500 (SOAP 1.1 §6.2), unless the problem is in HTTP itself. */
export function writeFault({ code, message }: SoapFault): string {
  return writeSoapFault('1.1', { code, reason: message.slice(0, LONGEST_MESSAGE) });
}

export type Value = string | number | { readonly item: readonly Readonly<Record<string, string | number>>[] };

export function writeResponse(method: string, values: Readonly<Record<string, Value>>): string {
  return writeEnvelope('1.1', builder.build({ [`SAPControl:${method}Response`]: printableAll(values) }), {
    xsi: 'http://www.w3.org/2001/XMLSchema-instance',
    xsd: 'http://www.w3.org/2001/XMLSchema',
    SAPControl: SAPCONTROL_NAMESPACE,
  });
}

const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  suppressEmptyNode: false,
  // By default the builder omits the value of an attribute that is "true", which is not valid XML.
  suppressBooleanAttributes: false,
});

/** Builds XML from a tree in which `@` marks attributes and lists repeat their element. */
export function writeXml(tree: Readonly<Record<string, unknown>>): string {
  return builder.build({ '?xml': { '@version': '1.0', '@encoding': 'UTF-8' }, ...tree });
}

function decoded(body: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw malformed('it must be UTF-8');
  }
  const declared = /^<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]+)/.exec(text)?.[1];
  if (declared !== undefined && !/^(utf-8|us-ascii)$/i.test(declared))
    throw malformed(`it declares the encoding ${declared}; write it in UTF-8`);
  return text;
}

function parsed(text: string): unknown {
  // The parser itself accepts a truncated document.
  const validity = XMLValidator.validate(text);
  if (validity !== true) throw malformed(`line ${validity.err.line}: ${validity.err.msg}`);
  try {
    return parser.parse(text);
  } catch (error) {
    throw malformed((error as Error).message);
  }
}

function malformed(why: string): SoapFault {
  return new SoapFault('Client', `the request is not a valid SOAP message: ${why}`);
}

interface Element {
  readonly local: string;
  readonly namespace: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly scope: Scope;
  children(): Element[];
  text(): string;
}

/**
 * Namespaces in scope, by prefix. A chain instead of copies: a message that declares many at its root and one at each
 * child would otherwise block this process for seconds of copying.
 */
interface Scope {
  readonly declared: ReadonlyMap<string, string>;
  readonly outer: Scope | undefined;
}

const OUTERMOST: Scope = { declared: new Map([['', '']]), outer: undefined };

function namespaceOf(prefix: string, innermost: Scope): string | undefined {
  for (let scope: Scope | undefined = innermost; scope !== undefined; scope = scope.outer) {
    const namespace = scope.declared.get(prefix);
    if (namespace !== undefined) return namespace;
  }
  return undefined;
}

/** The elements among the parser's nodes, which are `{ name: nodes, ':@': attributes }` or `{ '#text' }`. */
function elementsOf(nodes: unknown, outer: Scope): Element[] {
  if (!Array.isArray(nodes)) return [];
  return nodes.flatMap((node: Record<string, unknown>) => {
    const name = Object.keys(node).find((key) => key !== ':@');
    if (name === undefined || name === '#text') return [];
    const attributes = (node[':@'] ?? {}) as Record<string, string>;
    const scope = scopeOf(attributes, outer);
    const [prefix, local] = splitName(name);
    return [
      {
        local,
        namespace: namespaceOf(prefix, scope) ?? '',
        attributes,
        scope,
        children: () => elementsOf(node[name], scope),
        text: () => textOf(node[name]),
      },
    ];
  });
}

function scopeOf(attributes: Readonly<Record<string, string>>, outer: Scope): Scope {
  const declared = Object.entries(attributes).flatMap(([name, value]): [string, string][] => {
    if (name === 'xmlns') return [['', value]];
    return name.startsWith('xmlns:') ? [[name.slice('xmlns:'.length), value]] : [];
  });
  return declared.length === 0 ? outer : { declared: new Map(declared), outer };
}

function splitName(name: string): [prefix: string, local: string] {
  const colon = name.indexOf(':');
  return colon < 0 ? ['', name] : [name.slice(0, colon), name.slice(colon + 1)];
}

function textOf(nodes: unknown): string {
  if (!Array.isArray(nodes)) return '';
  return nodes
    .map((node: Record<string, unknown>) => ('#text' in node ? String(node['#text']) : ''))
    .join('')
    .trim();
}

function isSoap({ local, namespace }: Element, name: string): boolean {
  return local === name && namespace === SOAP_NAMESPACE;
}

/** This service understands no header entry, so none may be marked mustUnderstand (SOAP 1.1 §4.2.3). */
function refuseMandatory(header: Element): void {
  for (const { local, attributes, scope } of header.children()) {
    for (const [name, value] of Object.entries(attributes)) {
      const [prefix, attribute] = splitName(name);
      if (
        attribute !== 'mustUnderstand' ||
        namespaceOf(prefix, scope) !== SOAP_NAMESPACE ||
        value.trim() !== '1'
      )
        continue;
      throw new SoapFault('MustUnderstand', `the header ${local} is not understood; leave it out`);
    }
  }
}

function printableAll(values: Readonly<Record<string, Value>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === 'object' ? { item: value.item.map(printableAll) } : printable(value),
    ]),
  );
}

/** Replaces characters that XML 1.0 §2.2 forbids: one of them would make the whole answer unparsable. */
function printable(value: string | number): string {
  return String(value).replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd');
}
