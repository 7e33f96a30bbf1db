import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An instance that answers on the test's command, so that it is exactly as slow as the test needs. */
export interface GatedInstance {
  readonly url: string;
  /** The number of probes and requests that wait for an answer. */
  readonly waiting: { readonly probes: number; readonly requests: number };
  /** Answers all waiting requests, and later ones at once. */
  answerProbes(): void;
  answerRequests(): void;
  /** Makes new probes wait again. */
  holdProbes(): void;
  /** Makes new requests wait again. */
  holdRequests(): void;
  /** Closes every connection, answered or not. */
  close(): Promise<void>;
}

export async function startGatedInstance(): Promise<GatedInstance> {
  const probes = new Gate();
  const requests = new Gate();
  const server = createServer((request, response) => {
    request.resume();
    (request.method === 'GET' ? probes : requests).take(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get waiting() {
      return { probes: probes.waiting, requests: requests.waiting };
    },
    answerProbes: () => probes.open(),
    answerRequests: () => requests.open(),
    holdProbes: () => probes.shut(),
    holdRequests: () => requests.shut(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

class Gate {
  #isOpen = false;
  #held: ServerResponse[] = [];

  get waiting(): number {
    return this.#held.length;
  }

  take(response: ServerResponse): void {
    if (this.#isOpen) response.end('ok');
    else this.#held.push(response);
  }

  open(): void {
    this.#isOpen = true;
    for (const response of this.#held.splice(0)) response.end('ok');
  }

  shut(): void {
    this.#isOpen = false;
  }
}
