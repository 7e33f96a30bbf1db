import type { ErrorSource } from '../core/errors.ts';
import type { SoapVersion } from './media-type.ts';
import { mediaTypeOf, writeFault } from './writer.ts';
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

/** Writes an error of the gateway's own as a SOAP Fault. What is not the client's fault is the server's, whichever server that is. */
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
