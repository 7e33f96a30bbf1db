import type { Client } from 'undici';
import { errors } from 'undici';
import { ERRORS } from '../core/errors.ts';
import type { Observation } from '../core/health.ts';
import { isOutOfFiles } from '../core/open-files.ts';

/** How one instance is probed. The method is always GET, because undici closes the connection after a HEAD. */
export interface ProbeTarget {
  readonly path: string;
  /** The Host header, if the health page needs another one than the origin's. */
  readonly host: string | undefined;
  /** Header fields of the operator; they replace those of the probe. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  /** The name of this gateway in `Via`, by which a gateway knows a probe that has come back to it. */
  readonly via: string;
  /** Creates the client for one probe. */
  open(): Client;
}

type Test = Pick<RegExp, 'test'>;

/** The conditions under which a probe passes. */
export interface ProbeExpectation {
  readonly timeoutMs: number;
  readonly status: (status: number) => boolean;
  readonly bodyMatches: Test | undefined;
  readonly bodyRejects: Test | undefined;
  /** Finds the incarnation on the page; `undefined` if the page shows none. */
  readonly incarnation: ((page: string) => string | undefined) | undefined;
  /** Matches the page of an instance that has no session. */
  readonly emptyMatches: Test | undefined;
}

export interface PageReading {
  /** Decodes a page. */
  text(page: Buffer, contentType: string | readonly string[] | undefined): string;
  /** Shortens a captured incarnation to the form that bindings hold. */
  compact(incarnation: string): string;
}

export type Probe = () => Promise<Observation>;

// A health page has a few hundred bytes. Only this much of a longer one is read.
const MAX_PAGE_BYTES = 64 * 1024;
const LOOP =
  'its address leads to this gateway itself, or to another gateway with the same forwarding.via (GW_LOOP); set the address of the connector';

/**
 * Returns a function that probes one instance. Each probe opens a new connection, because an open one proves nothing
 * about the listener.
 *
 * @param read how a page is read
 */
export function createProbe(target: ProbeTarget, expectation: ProbeExpectation, read: PageReading): Probe {
  const headers = headersOf(target);
  return async () => {
    const client = target.open();
    const abort = new AbortController();
    // One limit for connecting, header and body together.
    const timer = setTimeout(
      () => abort.abort(new Error(`no answer within ${expectation.timeoutMs} ms`)),
      expectation.timeoutMs,
    );
    try {
      const response = await client.request({
        method: 'GET',
        path: target.path,
        headers,
        signal: abort.signal,
      });
      if (
        response.statusCode === ERRORS.GW_LOOP.status &&
        (await readPage(response.body)).includes('GW_LOOP')
      )
        return failed(LOOP);
      if (!expectation.status(response.statusCode)) {
        return failed(`health page answered status ${response.statusCode}`);
      }
      const page = read.text(await readPage(response.body), response.headers['content-type']);
      return observationOf(page, expectation, read.compact);
    } catch (error) {
      if (abort.signal.aborted) return { ...failed(abort.signal.reason.message), hasTimedOut: true };
      if (isOutOfFiles(error)) return { ...failed(describe(error)), isOurFault: true };
      return { ...failed(describe(error)), hasTimedOut: error instanceof errors.ConnectTimeoutError };
    } finally {
      clearTimeout(timer);
      await client.destroy();
    }
  };
}

/** Names and values alternating. */
function headersOf({ host, headers, via }: ProbeTarget): string[] {
  const given = new Set(headers.map(({ name }) => name.toLowerCase()));
  const own = [
    ['user-agent', 'ici-gateway-probe'],
    ['accept', '*/*'],
  ].filter(([name]) => !given.has(name as string));
  return [
    ...own.flat(),
    ...['via', `1.1 ${via}`],
    ...(host === undefined ? [] : ['host', host]),
    ...headers.flatMap(({ name, value }) => [name, value]),
  ];
}

async function readPage(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= MAX_PAGE_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_PAGE_BYTES);
}

function observationOf(
  page: string,
  expectation: ProbeExpectation,
  compact: (incarnation: string) => string,
): Observation {
  if (expectation.bodyMatches !== undefined && !expectation.bodyMatches.test(page)) {
    return failed('health page does not match health.bodyMatches');
  }
  if (expectation.bodyRejects?.test(page) === true) return failed('health page matches health.bodyRejects');
  const found = expectation.incarnation?.(page);
  return {
    passed: true,
    incarnation: found === undefined ? undefined : compact(found),
    isEmpty: expectation.emptyMatches?.test(page) === true,
  };
}

function failed(reason: string): Observation {
  return { passed: false, reason };
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code;
  return code === undefined ? error.message : `${code}: ${error.message}`;
}
