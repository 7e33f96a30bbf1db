import { GatewayError } from '../core/errors.ts';
import type { Names } from '../core/identity.ts';
import type { UnnamedReason } from '../core/seen-names.ts';
import { valueAsSent } from '../core/stored-name.ts';
import { canonicalUser } from '../core/user-name.ts';
import { addressMask } from '../identity/client-address.ts';
import type { HeaderIdentity, HeaderIdentityExtractor } from '../identity/header-identity.ts';
import type { BodySearch } from '../soap/body-search.ts';
import type { ScanProblem, ScanResult } from '../soap/scan-result.ts';
import type { OperationList } from './agent-operations.ts';
import type { Pool } from './pool.ts';
import type { IdentifiedRequest } from './request-context.ts';

export interface IdentifyOptions {
  readonly header: HeaderIdentityExtractor;
  /** `undefined` if bodies are not searched. */
  readonly search: BodySearch | undefined;
  /** Search the body even if header or cookie names the agent. */
  readonly bodyFirst: boolean;
  /** The operations with which agents log on; `undefined` if none is configured. */
  readonly logon: OperationList | undefined;
  /** How much of a body is read before it is forwarded. */
  readonly searchBytes: number;
  /** How to treat a request without a user in its header whose body cannot be read. */
  readonly onUnreadable: 'anonymous' | 'refuse';
  readonly addressMask: { readonly ipv4: number; readonly ipv6: number };
}

const TILDE = 0x7e;

/** Finds the names of a request's agent. */
export class Identifier {
  readonly #options: IdentifyOptions;
  readonly #networkOf: (address: string) => string | undefined;

  constructor(options: IdentifyOptions) {
    this.#options = options;
    this.#networkOf = addressMask(options.addressMask);
  }

  /** Copies the names in the header to the context. */
  readHeader(context: IdentifiedRequest): HeaderIdentity {
    const found = this.#options.header.extract(context.raw.rawHeaders);
    context.user = named(found.user);
    context.session = named(found.session);
    return found;
  }

  /**
   * Finds the names that the header does not have, if the pool needs them. Returns a promise only if the body must be
   * searched. Rejects with a GatewayError if the body cannot be read and such requests are refused.
   *
   * @param isKnown is the agent known here by the session alone?
   */
  identify(
    context: IdentifiedRequest,
    pool: Pool,
    isKnown: (pool: Pool, names: Names) => boolean,
  ): Promise<void> | undefined {
    if (!pool.bindsAgents) return undefined;
    context.isIdentified = true;
    if (this.#needsBody(context, pool, isKnown)) return this.#identifyByBody(context, pool);
    this.#useAddress(context, pool);
    return undefined;
  }

  async #identifyByBody(context: IdentifiedRequest, pool: Pool): Promise<void> {
    await this.#readBody(context);
    this.#useAddress(context, pool);
  }

  #useAddress(context: IdentifiedRequest, pool: Pool): void {
    // Even if there is a session, because the store may find that it names no agent.
    if (context.user === undefined && pool.anonymous === 'address') this.#readAddress(context);
  }

  /** @throws GatewayError if the header names more than one agent, or only names that cannot be used */
  check(context: IdentifiedRequest, found: HeaderIdentity): void {
    if (found.ambiguous) throw new GatewayError('GW_IDENTITY_AMBIGUOUS');
    if (found.refused === undefined) return;
    context.ignore(found.refused.source, found.refused.reason);
    if (found.user === undefined && found.session === undefined)
      throw new GatewayError('GW_IDENTITY_UNUSABLE');
  }

  /**
   * Must the body be searched? Usually only if the header names no user and its session is unknown here. If log-on
   * operations are configured, a known session is searched too: the request may be a log-on of another user.
   */
  #needsBody(
    context: IdentifiedRequest,
    pool: Pool,
    isKnown: (pool: Pool, names: Names) => boolean,
  ): boolean {
    const { search, bodyFirst, logon } = this.#options;
    if (search === undefined || context.body === undefined) return false;
    if (context.body.complete && context.body.head.length === 0) return false;
    if (bodyFirst) return true;
    if (context.user !== undefined) return false;
    return logon !== undefined || context.session === undefined || !isKnown(pool, context);
  }

  async #readBody(context: IdentifiedRequest): Promise<void> {
    const { search, searchBytes, logon } = this.#options;
    const { body } = context;
    if (search === undefined || body === undefined) return;
    await body.collect(searchBytes);
    const headers = {
      contentType: context.raw.headers['content-type'],
      contentEncoding: context.raw.headers['content-encoding'],
    };
    const searched = search.search(body.head, headers, body.complete);
    // It is a promise only if the body had to be inflated.
    const found = searched instanceof Promise ? await searched : searched;
    const { operation } = found;
    const isLogon =
      operation !== undefined && (logon?.includes(operation, body.head, headers, body.complete) ?? false);
    this.#take(context, found, isLogon instanceof Promise ? await isLogon : isLogon);
  }

  /** Uses the client's address as a name, in pools with `anonymous: address`. */
  #readAddress(context: IdentifiedRequest): void {
    const { client } = context;
    if (client !== undefined) context.address = this.#networkOf(client);
  }

  #take(context: IdentifiedRequest, found: ScanResult, isLogon: boolean): void {
    if (found.version !== undefined) context.soapVersionOfBody = found.version;
    context.operation = found.operation;
    context.found = found;
    for (const reason of found.refused ?? []) context.ignore('body', reason);
    if (context.user === undefined && found.user !== undefined) {
      context.user = named(canonicalUser(found.user));
      context.userIsFound = !isLogon;
      context.userIsInBody = true;
    }
    if (context.session === undefined && found.session !== undefined) {
      context.session = named(found.session);
      context.sessionIsFound = !isLogon;
      context.sessionIsInBody = true;
    }
    context.unnamedBecause = reasonOf(found);
    const { logon } = this.#options;
    if (logon !== undefined && context.user !== undefined && context.session !== undefined) unlink(context);
    const isUnreadable = found.problem !== undefined && context.user === undefined;
    if (isUnreadable && this.#options.onUnreadable === 'refuse')
      throw new GatewayError('GW_ENVELOPE_MALFORMED');
  }
}

const REASONS: Readonly<Record<ScanProblem, UnnamedReason>> = {
  doctype: 'doctype',
  malformed: 'not-xml',
  'not-soap': 'not-xml',
  encoding: 'encoding',
  compressed: 'encoding',
  limit: 'too-deep',
  truncated: 'too-long',
  multipart: 'multipart',
};

/** Why the body has no names, if it has none. */
function reasonOf({ problem, refused, isDeeper }: ScanResult): UnnamedReason | undefined {
  if (problem !== undefined) return REASONS[problem];
  if (refused !== undefined) return 'refused';
  return isDeeper === true ? 'too-deep' : undefined;
}

/** Every digest begins with a tilde, and nearly no other name does. */
function named(value: string | undefined): string | undefined {
  return value?.charCodeAt(0) === TILDE ? valueAsSent(value) : value;
}

/** Only a log-on proves that user and session belong to one agent. Otherwise drops a found name, the user first. */
function unlink(context: IdentifiedRequest): void {
  if (context.userIsFound) {
    context.user = undefined;
    context.userIsFound = false;
  } else if (context.sessionIsFound) {
    context.session = undefined;
    context.sessionIsFound = false;
  }
}
