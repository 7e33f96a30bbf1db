import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An instance that answers when it is told to: as slow as a test needs it, and no slower. */
export interface GatedInstance {
  readonly url: string;
  /** How many probes and requests wait for their answer. */
  readonly waiting: { readonly probes: number; readonly requests: number };
  /** Those that wait are answered, and all that come later at once. */
  answerProbes(): void;
  answerRequests(): void;
  /** Those that come from now on wait again. */
  holdRequests(): void;
  /** Ends every connection, answered or not. */
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
