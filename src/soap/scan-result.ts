import type { SoapVersion } from './media-type.ts';

/** Why a body could not be searched, or not to its end. */
export type ScanProblem =
  | 'doctype' // it has a document type declaration, which SOAP forbids (SOAP 1.1 section 3)
  | 'malformed' // it is not well-formed XML
  | 'not-soap' // it is not XML, or its root is no Envelope
  | 'encoding' // its encoding is unknown, or its bytes are not of that encoding
  | 'limit' // it declares more namespaces than anybody needs
  | 'truncated' // the bytes end before the search did, and more of the body exists
  | 'compressed' // its Content-Encoding is unknown, or its bytes are not of that coding
  | 'multipart'; // its parts, or the root among them, cannot be made out

/**
 * What a search came to. Where there is a problem there are no names, because
 * the instance may read such a body differently; only of a `truncated` body what
 * was found so far is told, and a rule of higher precedence may match further on.
 */
export interface ScanResult {
  readonly user?: string | undefined;
  readonly session?: string | undefined;
  /** Local name of the first element in the Body, where it was asked for. */
  readonly operation?: string | undefined;
  /** Why values that stand where names do are none; `undefined` where there was no such value. */
  readonly refused?: readonly string[] | undefined;
  /** By the namespace of the Envelope. */
  readonly version?: SoapVersion | undefined;
  readonly problem?: ScanProblem | undefined;
}

export function failed(problem: ScanProblem): ScanResult {
  return { user: undefined, session: undefined, version: undefined, problem };
}
