import type { IncomingHttpHeaders } from 'node:http';
import { foldName } from '../core/naming-rules.ts';
import type { AgentAct } from '../core/recent-requests.ts';
import type { BodyHeaders } from '../soap/body-search.ts';
import { BodySearch } from '../soap/body-search.ts';
import type { ElementMatch } from '../soap/element-rules.ts';
import { NameFilter } from '../soap/name-filter.ts';
import { fieldIn } from './headers.ts';
import type { RequestBody } from './request-body.ts';

// Envelope, Body, operation.
const OPERATION_DEPTH = 3;
const FAULT = 'Fault';

/** An operation, or one in which an element has this value. */
export interface OperationRule {
  readonly operation: string;
  readonly element?: string;
  readonly value?: string;
}

export interface OperationLimits {
  readonly match: ElementMatch;
  /** How much of a body is searched. */
  readonly maxBytes: number;
  /** How deep elements are looked for. */
  readonly maxDepth: number;
}

interface CompiledOperation {
  readonly value: string;
  readonly search: BodySearch | undefined;
}

/** A configured list of operations. */
export class OperationList {
  readonly isEmpty: boolean;
  readonly names: readonly string[];
  readonly match: ElementMatch;
  /** By the comparable form of the operation. */
  readonly #rules = new Map<string, CompiledOperation[]>();
  readonly #filter: NameFilter;
  readonly #comparable: (name: string) => string;

  constructor(rules: readonly OperationRule[], { match, maxBytes, maxDepth }: OperationLimits) {
    this.isEmpty = rules.length === 0;
    this.#comparable = match === 'loose' ? foldName : (name) => name;
    this.match = match;
    this.names = rules.map(({ operation }) => operation);
    this.#filter = new NameFilter(this.names, match);
    for (const { operation, element: local, value = '' } of rules) {
      const name = this.#comparable(operation);
      const search =
        local === undefined
          ? undefined
          : new BodySearch([{ kind: 'session', local, operation }], { maxBytes, maxDepth, match });
      this.#rules.set(name, [...(this.#rules.get(name) ?? []), { value, search }]);
    }
  }

  has(operation: string): boolean {
    return this.#rules.has(this.#comparable(operation));
  }

  /**
   * Can a request with this whole body be in the list? Far cheaper than to find its operation.
   *
   * @param operation if it is known
   */
  mayInclude(bytes: Buffer, headers: BodyHeaders, operation?: string): boolean {
    if (this.isEmpty) return false;
    if (operation !== undefined) return this.has(operation);
    return this.#filter.mayHave(bytes, headers);
  }

  /**
   * Is a request with this operation in the list? A promise only if its body must be inflated.
   *
   * @param isComplete false if the bytes are only the beginning of the body
   */
  includes(
    operation: string,
    bytes: Buffer,
    headers: BodyHeaders,
    isComplete: boolean,
  ): boolean | Promise<boolean> {
    const rules = this.#rules.get(this.#comparable(operation));
    if (rules === undefined) return false;
    if (rules.some(({ search }) => search === undefined)) return true;
    const found = rules.map(({ search, value }) => {
      const searched = (search as BodySearch).search(bytes, headers, isComplete);
      const has = ({ session, problem }: Awaited<typeof searched>): boolean =>
        problem === undefined && session === value;
      return searched instanceof Promise ? searched.then(has) : has(searched);
    });
    if (found.some((one) => one === true)) return true;
    return found.some((one) => one instanceof Promise)
      ? Promise.all(found).then((all) => all.includes(true))
      : false;
  }
}

/** What is read of a request. */
export interface OperationRequest {
  readonly raw: { readonly headers: IncomingHttpHeaders };
  readonly body: Pick<RequestBody, 'head' | 'complete' | 'collect'> | undefined;
  /** If the body was searched already; noted if it is searched here. */
  operation: string | undefined;
}

/** The answer of an instance. */
export interface Answer {
  /** Its body; `undefined` if that was too large to be held. */
  readonly whole: Buffer | undefined;
  /** Names and values alternating. */
  readonly responseHeaders: readonly Buffer[];
}

export interface AgentOperationsOptions {
  readonly logon: OperationList;
  readonly logoff: OperationList;
  /** How much of a body is held before it is forwarded. */
  readonly maxBytes: number;
}

/**
 * Recognises the requests with which agents log on and off, by the first element of the SOAP Body, as instances do.
 * SOAPAction is usually empty. A body that cannot be read is neither.
 */
export class AgentOperations {
  // Fields, because every request reads them.
  readonly haveLogon: boolean;
  readonly haveLogoff: boolean;
  readonly #options: AgentOperationsOptions;
  readonly #search: BodySearch;
  readonly #either: NameFilter;

  constructor(options: AgentOperationsOptions) {
    this.#options = options;
    const { logon, logoff, maxBytes } = options;
    this.haveLogon = !logon.isEmpty;
    this.haveLogoff = !logoff.isEmpty;
    this.#either = new NameFilter([...logon.names, ...logoff.names], logoff.match);
    this.#search = new BodySearch([], { maxBytes, maxDepth: OPERATION_DEPTH, wantsOperation: true });
  }

  /** Can the agent log on or off with this request? Nearly all others are ruled out at once. */
  mayBeEither(request: OperationRequest): boolean {
    const { body, operation } = request;
    if (body?.complete !== true) return false;
    const { logon, logoff } = this.#options;
    if (operation !== undefined) return logon.has(operation) || logoff.has(operation);
    return this.#either.mayHave(body.head, headersOf(request));
  }

  /** The list in which the request stands, whatever its answer is. */
  async actOf(request: OperationRequest): Promise<AgentAct | undefined> {
    if (await this.#isIn(this.#options.logoff, request)) return 'logoff';
    return (await this.isLogon(request)) ? 'logon' : undefined;
  }

  isLogon(request: OperationRequest): Promise<boolean> {
    return this.#isIn(this.#options.logon, request);
  }

  /** Has the agent logged off with this request? Only if it and its answer were held whole, and it got no Fault. */
  async isLogoff(
    request: OperationRequest,
    status: number,
    { whole, responseHeaders }: Answer,
  ): Promise<boolean> {
    if (whole === undefined || status < 200 || status > 299 || request.body?.complete !== true) return false;
    if (!(await this.#isIn(this.#options.logoff, request))) return false;
    if (whole.length === 0) return true;
    const headers = {
      contentType: fieldIn(responseHeaders, 'content-type'),
      contentEncoding: fieldIn(responseHeaders, 'content-encoding'),
    };
    const { operation, problem } = await this.#search.search(whole, headers, true);
    return problem === undefined && operation !== FAULT;
  }

  /**
   * The operation of a request that is neither a log-on nor a log-off; `''` if it cannot be read.
   */
  async otherOperation(request: OperationRequest): Promise<string | undefined> {
    const { logon, logoff } = this.#options;
    if ((await this.#isIn(logoff, request)) || (await this.#isIn(logon, request))) return undefined;
    return (await this.#operationOf(request)) ?? '';
  }

  async #isIn(list: OperationList, request: OperationRequest): Promise<boolean> {
    const { body } = request;
    if (body === undefined || list.isEmpty) return false;
    await body.collect(this.#options.maxBytes);
    const headers = headersOf(request);
    if (body.complete && !list.mayInclude(body.head, headers, request.operation)) return false;
    const operation = await this.#operationOf(request);
    return operation !== undefined && list.includes(operation, body.head, headers, body.complete);
  }

  async #operationOf(request: OperationRequest): Promise<string | undefined> {
    const { body } = request;
    if (body === undefined) return undefined;
    await body.collect(this.#options.maxBytes);
    request.operation ??= (await this.#search.search(body.head, headersOf(request), body.complete)).operation;
    return request.operation;
  }
}

/** What the search of a body reads of its header. */
export function headersOf({ raw }: Pick<OperationRequest, 'raw'>): BodyHeaders {
  return { contentType: raw.headers['content-type'], contentEncoding: raw.headers['content-encoding'] };
}
