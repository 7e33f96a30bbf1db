import type { SoapVersion } from './media-type.ts';
import { escapeXml } from './xml-text.ts';

export const SOAP_NAMESPACES: Readonly<Record<SoapVersion, string>> = {
  '1.1': 'http://schemas.xmlsoap.org/soap/envelope/',
  '1.2': 'http://www.w3.org/2003/05/soap-envelope',
};

export function soapVersionOfNamespace(namespace: string | undefined): SoapVersion | undefined {
  if (namespace === SOAP_NAMESPACES['1.1']) return '1.1';
  return namespace === SOAP_NAMESPACES['1.2'] ? '1.2' : undefined;
}

const PREFIXES: Readonly<Record<SoapVersion, string>> = { '1.1': 'SOAP-ENV', '1.2': 'env' };

/** SOAP 1.1 §4.4.1. */
export type FaultCode = 'Client' | 'Server' | 'VersionMismatch' | 'MustUnderstand';

/** SOAP 1.2 renamed two codes (part 1 §5.4.6). */
const CODES_OF_12: Readonly<Record<FaultCode, string>> = {
  Client: 'Sender',
  Server: 'Receiver',
  VersionMismatch: 'VersionMismatch',
  MustUnderstand: 'MustUnderstand',
};

export interface Fault {
  readonly code: FaultCode;
  readonly reason: string;
  /** The content of the detail element as XML; a Fault about headers has none. */
  readonly detail?: string;
}

export function mediaTypeOf(version: SoapVersion): string {
  return version === '1.2' ? 'application/soap+xml; charset=utf-8' : 'text/xml; charset=utf-8';
}

/**
 * @param body the content of the Body as XML
 * @param namespaces the namespaces that the body uses, by prefix
 */
export function writeEnvelope(
  version: SoapVersion,
  body: string,
  namespaces: Readonly<Record<string, string>> = {},
): string {
  const prefix = PREFIXES[version];
  const declared = Object.entries({ [prefix]: SOAP_NAMESPACES[version], ...namespaces })
    .map(([name, namespace]) => ` xmlns:${name}="${namespace}"`)
    .join('');
  return (
    '<?xml version="1.0" encoding="utf-8"?>\n' +
    `<${prefix}:Envelope${declared}><${prefix}:Body>${body}</${prefix}:Body></${prefix}:Envelope>`
  );
}

/** Writes a Fault with its envelope (SOAP 1.1 §4.4, SOAP 1.2 part 1 §5.4). */
export function writeFault(version: SoapVersion, { code, reason, detail }: Fault): string {
  const text = escapeXml(reason);
  if (version === '1.1') {
    const details = detail === undefined ? '' : `<detail>${detail}</detail>`;
    return writeEnvelope(
      version,
      `<SOAP-ENV:Fault><faultcode>SOAP-ENV:${code}</faultcode>` +
        `<faultstring>${text}</faultstring>${details}</SOAP-ENV:Fault>`,
    );
  }
  const details = detail === undefined ? '' : `<env:Detail>${detail}</env:Detail>`;
  return writeEnvelope(
    version,
    `<env:Fault><env:Code><env:Value>env:${CODES_OF_12[code]}</env:Value></env:Code>` +
      `<env:Reason><env:Text xml:lang="en">${text}</env:Text></env:Reason>${details}</env:Fault>`,
  );
}
