import { BodySearch } from '../soap/body-search.ts';
import type { RequestContext } from './request-context.ts';

// Envelope, Body, operation.
const OPERATION_DEPTH = 3;

/**
 * Recognises the requests with which agents log on, by the first element of the SOAP Body, as instances do. SOAPAction
 * is usually empty. A body that cannot be read is no log-on.
 */
export class LogonSearch {
  readonly #search: BodySearch;
  readonly #maxBytes: number;

  /** @param maxBytes how much of a body is read before it is forwarded */
  constructor(maxBytes: number) {
    this.#search = new BodySearch([], { maxBytes, maxDepth: OPERATION_DEPTH, wantsOperation: true });
    this.#maxBytes = maxBytes;
  }

  async isLogon({ body, raw }: RequestContext, operations: readonly string[]): Promise<boolean> {
    if (body === undefined || operations.length === 0) return false;
    await body.collect(this.#maxBytes);
    const { operation } = await this.#search.search(
      body.head,
      { contentType: raw.headers['content-type'], contentEncoding: raw.headers['content-encoding'] },
      body.complete,
    );
    return operation !== undefined && operations.includes(operation);
  }
}
