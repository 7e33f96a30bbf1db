import type { Client } from 'undici';
import { errors } from 'undici';
import type { Observation } from '../core/health.ts';

/** How one instance is probed. The method is always GET, because undici closes the connection after a HEAD. */
export interface ProbeTarget {
  readonly path: string;
  /** The Host header, if the health page needs another one than the origin's. */
  readonly host: string | undefined;
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

export type Probe = () => Promise<Observation>;

// A health page has a few hundred bytes. Only this much of a longer one is read.
const MAX_PAGE_BYTES = 64 * 1024;

/**
 * Returns a function that probes one instance. Each probe opens a new connection, because an open one proves nothing
 * about the listener.
 *
 * @param compact shortens a captured incarnation to the form that bindings hold
 */
export function createProbe(
  target: ProbeTarget,
  expectation: ProbeExpectation,
  compact: (incarnation: string) => string,
): Probe {
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
        headers: {
          'user-agent': 'ici-gateway-probe',
          accept: '*/*',
          ...(target.host === undefined ? {} : { host: target.host }),
        },
        signal: abort.signal,
      });
      if (!expectation.status(response.statusCode)) {
        return failed(`health page answered status ${response.statusCode}`);
      }
      return observationOf(await readPage(response.body), expectation, compact);
    } catch (error) {
      if (abort.signal.aborted) return { ...failed(abort.signal.reason.message), hasTimedOut: true };
      return { ...failed(describe(error)), hasTimedOut: error instanceof errors.ConnectTimeoutError };
    } finally {
      clearTimeout(timer);
      await client.destroy();
    }
  };
}

async function readPage(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= MAX_PAGE_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_PAGE_BYTES).toString('utf8');
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
