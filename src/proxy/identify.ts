import { GatewayError } from '../core/errors.ts';
import { addressMask } from '../identity/client-address.ts';
import type { Metadata, MetadataExtractor } from '../identity/metadata.ts';
import { canonicalUser } from '../identity/user-name.ts';
import type { BodySearch } from '../soap/body-search.ts';
import type { ScanResult } from '../soap/scan-result.ts';
import type { Pool } from './pool.ts';
import type { RequestContext } from './request-context.ts';

export interface IdentifyOptions {
  readonly metadata: MetadataExtractor;
  /** `undefined` where the body is not searched. */
  readonly search: BodySearch | undefined;
  /** The body is searched even where header and cookie name the agent. */
  readonly bodyFirst: boolean;
  /** Is it an operation with which an agent logs on? `undefined` where none are configured. */
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
  readonly #networkOf: (address: string) => string | undefined;

  constructor(options: IdentifyOptions) {
    this.#options = options;
    this.#networkOf = addressMask(options.addressMask);
  }

  /** Takes the names in the header over into the request. */
  readHeader(context: RequestContext): Metadata {
    const found = this.#options.metadata.extract(context.raw.rawHeaders);
    context.user = found.user;
    context.session = found.session;
    return found;
  }

  /**
   * Finds the names that the request's header leaves open, as far as its pool needs them.
   *
   * @param isKnown is the agent known by a session alone?
   * @throws GatewayError where the names do not tell one agent, and such requests are refused
   */
  async identify(
    context: RequestContext,
    pool: Pool,
    isKnown: (pool: Pool, context: RequestContext) => boolean,
  ): Promise<void> {
    if (!pool.bindsAgents) return;
    if (this.#needsBody(context, () => isKnown(pool, context))) await this.#readBody(context);
    // Also beside a session, which may turn out to name no agent.
    if (context.user === undefined && pool.anonymous === 'address') this.#readAddress(context);
  }

  /** @throws GatewayError where the header names more than one agent, or none that can be one */
  check(context: RequestContext, found: Metadata): void {
    if (found.ambiguous) throw new GatewayError('GW_IDENTITY_AMBIGUOUS');
    if (found.refused === undefined) return;
    context.ignore(found.refused);
    if (found.user === undefined && found.session === undefined)
      throw new GatewayError('GW_IDENTITY_UNUSABLE');
  }

  /**
   * Must the body be searched? Only where the header names no user, and its session is not known yet. Known agents need
   * no search, unless this may be the request that says which user goes on with the session.
   */
  #needsBody(context: RequestContext, sessionIsKnown: () => boolean): boolean {
    const { search, bodyFirst, isLogon } = this.#options;
    if (search === undefined || context.body === undefined) return false;
    if (context.body.complete && context.body.head.length === 0) return false;
    if (bodyFirst) return true;
    if (context.user !== undefined) return false;
    return isLogon !== undefined || context.session === undefined || !sessionIsKnown();
  }

  async #readBody(context: RequestContext): Promise<void> {
    const { search, searchBytes } = this.#options;
    const { body } = context;
    if (search === undefined || body === undefined) return;
    await body.collect(searchBytes);
    const { headers } = context.raw;
    const searched = search.search(
      body.head,
      { contentType: headers['content-type'], contentEncoding: headers['content-encoding'] },
      body.complete,
    );
    // A promise only where the body had to be inflated.
    this.#take(context, searched instanceof Promise ? await searched : searched);
  }

  /** The last resort of pools that are told to bind by address. */
  #readAddress(context: RequestContext): void {
    const { client } = context;
    if (client !== undefined) context.address = this.#networkOf(client);
  }

  #take(context: RequestContext, found: ScanResult): void {
    if (found.version !== undefined) context.soapVersionOfBody = found.version;
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
    if (isUnreadable && this.#options.onUnreadable === 'refuse')
      throw new GatewayError('GW_ENVELOPE_MALFORMED');
  }
}

/** Only a log-on says that user and session are one agent's: the name that was only found is dropped, the user first. */
function unlink(context: RequestContext): void {
  if (context.userIsFound) {
    context.user = undefined;
    context.userIsFound = false;
  } else if (context.sessionIsFound) {
    context.session = undefined;
    context.sessionIsFound = false;
  }
}
