import { once } from 'node:events';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Arrival } from '../support/arrivals.ts';

/** By which a request tells who it is of, whatever the gateway makes of it: `AGENT.NUMBER`. */
export const ID_HEADER = 'x-sim-delivery';

/** Writes down what arrives, answers at once, and knows nobody. */
export class RecordingInstance {
  readonly name: string;
  readonly arrivals: Arrival[] = [];
  /** When each life ended. */
  readonly endedAt = new Map<string, number>();
  #life = 0;
  #port = 0;
  #server: Server | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get life(): string {
    return `${this.name}.${this.#life}`;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** A new life, on the same port. */
  async start(): Promise<void> {
    this.#life += 1;
    const { life } = this;
    const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
      if (request.method === 'GET') {
        response.end(JSON.stringify({ incarnation: life }));
        return;
      }
      const id = String(request.headers[ID_HEADER]);
      const agent = id.slice(0, id.indexOf('.'));
      this.arrivals.push({ at: performance.now(), id, agent, instance: this.name, life });
      request.resume().once('end', () => response.writeHead(200, { 'x-connector': life }).end());
    });
    this.#server = server;
    await once(server.listen(this.#port, '127.0.0.1'), 'listening');
    this.#port = (server.address() as AddressInfo).port;
  }

  /** As when its process is killed: nothing listens, and every connection is reset. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    this.endedAt.set(this.life, performance.now());
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }
}
