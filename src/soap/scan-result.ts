import type { SoapVersion } from './media-type.ts';

/** Why a body could not be searched, or only in part. */
export type ScanProblem =
  | 'doctype' // it has a document type declaration, which SOAP forbids (SOAP 1.1 section 3)
  | 'malformed' // it is not well-formed XML
  | 'not-soap' // it is not XML, or its root is not an Envelope
  | 'encoding' // its encoding is unknown, or its bytes are invalid in it
  | 'limit' // it declares too many namespaces
  | 'truncated' // the searched bytes ended before the search did, and the body is longer
  | 'compressed' // its Content-Encoding is unknown, or its bytes are invalid in it
  | 'multipart'; // its parts, or the root part, cannot be found

/**
 * The result of a search. With a problem there are no names, because the instance may read such a body differently.
 * Only a `truncated` body yields what was found so far; a rule of higher precedence might match in the rest.
 */
export interface ScanResult {
  readonly user?: string | undefined;
  readonly session?: string | undefined;
  /** The local name of the first element in the Body, if requested. */
  readonly operation?: string | undefined;
  /** Why values in matching elements were not used as names; `undefined` if all were. */
  readonly refused?: readonly string[] | undefined;
  /** According to the namespace of the Envelope. */
  readonly version?: SoapVersion | undefined;
  readonly problem?: ScanProblem | undefined;
  /** If requested, the index of the rule that found the name among those of its kind; their number if none did. */
  readonly userRank?: number | undefined;
  /** The same among the session rules, and behind them the lists. */
  readonly sessionRank?: number | undefined;
  /** Local names of elements that hold text, if only these were searched for. */
  readonly elements?: readonly string[];
  /** It has elements below the depth that is searched. */
  readonly isDeeper?: true | undefined;
}

export function failed(problem: ScanProblem): ScanResult {
  return { user: undefined, session: undefined, version: undefined, problem };
}
