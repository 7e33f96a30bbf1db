import type { ErrorSource } from '../core/errors.ts';
import type { SoapVersion } from './media-type.ts';
import { mediaTypeOf, writeFault } from './writer.ts';
import { escapeXml } from './xml-text.ts';

/** The namespace of the gateway's elements in the detail of a Fault. */
const FAULT_NAMESPACE = 'urn:ici-gateway:fault';

export interface FaultParts {
  readonly version: SoapVersion;
  /** The code of the error, such as `GW_NO_INSTANCE`. */
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
 * Writes one of the gateway's own errors as a SOAP Fault. SOAP knows only client and server, so the rest is `Server`.
 */
export function renderFault({ version, code, message, source, requestId }: FaultParts): RenderedFault {
  const detail =
    `<gw:error xmlns:gw="${FAULT_NAMESPACE}">` +
    `<gw:code>${escapeXml(code)}</gw:code><gw:requestId>${escapeXml(requestId)}</gw:requestId>` +
    '</gw:error>';
  const blamed = source === 'client' ? 'Client' : 'Server';
  return {
    contentType: mediaTypeOf(version),
    body: writeFault(version, { code: blamed, reason: message, detail }),
  };
}
