import type { ClientRequest, IncomingHttpHeaders } from 'node:http';
import { request } from 'node:http';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** No complete answer arrived. `code` is the system's error code, or our own if there is none. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  readonly code: string;

  constructor(code: string, cause?: unknown) {
    super(`no answer: ${code}`, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Posts like SAP: every request uses a new TCP connection. */
export class SoapClient {
  readonly #timeoutMs: number;
  readonly #inFlight = new Set<ClientRequest>();
  #aborted = false;

  /** @param timeoutMs the limit for a whole request, including the connection set-up */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects with {@link NoAnswer} only. */
  post(url: URL, headers: Readonly<Record<string, string>>, body: Buffer): Promise<HttpAnswer> {
    if (this.#aborted) return Promise.reject(new NoAnswer('ABORTED'));
    return new Promise((resolve, reject) => {
      const call = request(url, {
        method: 'POST',
        agent: false,
        headers: { ...headers, 'content-length': String(body.length), host: url.host, connection: 'close' },
      });
      this.#inFlight.add(call);
      const timer = setTimeout(() => call.destroy(new NoAnswer('TIMEOUT')), this.#timeoutMs);
      let settled = false;
      const fail = (error: unknown): void => {
        settled = true;
        const code = (error as NodeJS.ErrnoException).code;
        reject(error instanceof NoAnswer ? error : new NoAnswer(code ?? 'UNKNOWN', error));
      };
      call.once('close', () => {
        clearTimeout(timer);
        this.#inFlight.delete(call);
        // The connection ended without an error.
        if (!settled) fail(new NoAnswer('CLOSED'));
      });
      call.on('error', fail);
      call.once('response', (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_ANSWER_BYTES) call.destroy(new NoAnswer('TOO_LARGE'));
          else chunks.push(chunk);
        });
        response.on('error', fail);
        response.once('end', () => {
          settled = true;
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8'),
          });
        });
      });
      call.end(body);
    });
  }

  /** Aborts all pending requests and refuses new ones. */
  abort(): void {
    this.#aborted = true;
    for (const call of this.#inFlight) call.destroy(new NoAnswer('ABORTED'));
  }
}
