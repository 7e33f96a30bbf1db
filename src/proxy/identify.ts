import type { ErrorCode } from '../core/errors.ts';
import { maskAddress } from '../identity/client-address.ts';
import type { MetadataExtractor } from '../identity/metadata.ts';
import { canonicalUser } from '../identity/user-name.ts';
import type { BodySearch } from '../soap/body-search.ts';
import { soapVersionOf } from '../soap/media-type.ts';
import type { ScanResult } from '../soap/scan-result.ts';
import type { RequestContext } from './request-context.ts';

export interface IdentifyOptions {
  readonly metadata: MetadataExtractor;
  /** `undefined` where the body is not asked. */
  readonly search: BodySearch | undefined;
  /** The body is asked even where header and cookie tell all. */
  readonly bodyFirst: boolean;
  /** Tells the operations in which an agent says who he is; `undefined` where none are known. */
  readonly isLogon: ((operation: string) => boolean) | undefined;
  /** How much of a body is read before it is forwarded. */
  readonly searchBytes: number;
  /** What becomes of a request whose body should tell and cannot be read. */
  readonly onUnreadable: 'anonymous' | 'refuse';
  readonly addressMask: { readonly ipv4: number; readonly ipv6: number };
}

/** Finds the names under which the agent of a request is known. */
export class Identifier {
  readonly #options: IdentifyOptions;

  constructor(options: IdentifyOptions) {
    this.#options = options;
  }

  /** Names in the header, and what kind of SOAP it is. Returns why the request must be refused, or `undefined`. */
  readHeader(context: RequestContext): ErrorCode | undefined {
    const { headers, rawHeaders } = context.raw;
    context.soapVersion = soapVersionOf(headers['content-type'], headers['soapaction'] as string | undefined);
    const found = this.#options.metadata.extract(rawHeaders);
    if (found.ambiguous) return 'GW_IDENTITY_AMBIGUOUS';
    context.user = found.user;
    context.session = found.session;
    if (found.refused === undefined) return undefined;
    context.ignore(found.refused);
    return found.user === undefined && found.session === undefined ? 'GW_IDENTITY_UNUSABLE' : undefined;
  }

  /**
   * Must the body be searched? Only where the header names no user and what it does name is not known already: of an
   * agent who is known, nothing is left to ask, unless this is the request that says who goes on with the session.
   */
  needsBody(context: RequestContext, sessionIsKnown: boolean): boolean {
    const { search, bodyFirst, isLogon } = this.#options;
    if (search === undefined || context.body === undefined) return false;
    if (context.body.complete && context.body.head.length === 0) return false;
    return bodyFirst || (context.user === undefined && (!sessionIsKnown || isLogon !== undefined));
  }

  /** Names in the body. Returns why the request must be refused, or `undefined`. */
  async readBody(context: RequestContext): Promise<ErrorCode | undefined> {
    const { search, searchBytes } = this.#options;
    const { body } = context;
    if (search === undefined || body === undefined) return undefined;
    await body.collect(searchBytes);
    const { headers } = context.raw;
    const searched = search.search(
      body.head,
      { contentType: headers['content-type'], contentEncoding: headers['content-encoding'] },
      body.complete,
    );
    // A promise only where the body had to be inflated.
    return this.#take(context, searched instanceof Promise ? await searched : searched);
  }

  /** The last resort of pools that are told to bind by address. */
  readAddress(context: RequestContext): void {
    const { client } = context;
    if (client !== undefined) context.address = maskAddress(client, this.#options.addressMask);
  }

  #take(context: RequestContext, found: ScanResult): ErrorCode | undefined {
    if (found.version !== undefined) context.soapVersion = found.version;
    context.operation = found.operation;
    for (const reason of found.refused ?? []) context.ignore(reason);
    const { isLogon } = this.#options;
    const isOwn = found.operation !== undefined && isLogon?.(found.operation) === true;
    if (context.user === undefined && found.user !== undefined) {
      context.user = canonicalUser(found.user);
      context.userIsFound = !isOwn;
    }
    if (context.session === undefined && found.session !== undefined) {
      context.session = found.session;
      context.sessionIsFound = !isOwn;
    }
    if (isLogon !== undefined && context.user !== undefined && context.session !== undefined) unlink(context);
    const isUnreadable = found.problem !== undefined && context.user === undefined;
    return isUnreadable && this.#options.onUnreadable === 'refuse' ? 'GW_ENVELOPE_MALFORMED' : undefined;
  }
}

/** No other operation than a log-on says that user and session are one agent's: what was only found goes, the user first. */
function unlink(context: RequestContext): void {
  if (context.userIsFound) {
    context.user = undefined;
    context.userIsFound = false;
  } else if (context.sessionIsFound) {
    context.session = undefined;
    context.sessionIsFound = false;
  }
}
