import type { ErrorSource } from '../core/errors.ts';
import type { SoapVersion } from './media-type.ts';
import { escapeXml } from './xml-text.ts';

/** Namespace of what the gateway puts into the detail of a Fault. */
const FAULT_NAMESPACE = 'urn:ici-gateway:fault';

export interface FaultParts {
  readonly version: SoapVersion;
  /** The stable code of the error, such as `GW_NO_INSTANCE`. */
  readonly code: string;
  readonly message: string;
  readonly source: ErrorSource;
  readonly requestId: string;
}

export interface RenderedFault {
  readonly contentType: string;
  readonly body: string;
}

/**
 * Writes an error of the gateway's own as a SOAP Fault (SOAP 1.1 section 4.4,
 * SOAP 1.2 part 1 section 5.4). What is not the client's doing is the server's
 * to it, whichever server that is.
 */
export function renderFault({ version, code, message, source, requestId }: FaultParts): RenderedFault {
  const detail =
    `<gw:error xmlns:gw="${FAULT_NAMESPACE}">` +
    `<gw:code>${escapeXml(code)}</gw:code><gw:requestId>${escapeXml(requestId)}</gw:requestId>` +
    '</gw:error>';
  const reason = escapeXml(message);
  if (version === '1.2') {
    return {
      contentType: 'application/soap+xml; charset=utf-8',
      body:
        '<?xml version="1.0" encoding="utf-8"?>\n' +
        '<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"><env:Body><env:Fault>' +
        `<env:Code><env:Value>env:${source === 'client' ? 'Sender' : 'Receiver'}</env:Value></env:Code>` +
        `<env:Reason><env:Text xml:lang="en">${reason}</env:Text></env:Reason>` +
        `<env:Detail>${detail}</env:Detail>` +
        '</env:Fault></env:Body></env:Envelope>',
    };
  }
  return {
    contentType: 'text/xml; charset=utf-8',
    body:
      '<?xml version="1.0" encoding="utf-8"?>\n' +
      '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body>' +
      `<SOAP-ENV:Fault><faultcode>SOAP-ENV:${source === 'client' ? 'Client' : 'Server'}</faultcode>` +
      `<faultstring>${reason}</faultstring><detail>${detail}</detail></SOAP-ENV:Fault>` +
      '</SOAP-ENV:Body></SOAP-ENV:Envelope>',
  };
}
