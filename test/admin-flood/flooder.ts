import { connect } from 'node:net';
import { setPriority } from 'node:os';

/** Sends many requests at once to one address, in a process of its own: `run.ts` forks it. */

export interface Flood {
  readonly host: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
  /** Bytes of a meaningless body; 0 for none. */
  readonly bytes: number;
  /** A body with a meaning, instead. */
  readonly body?: string;
  readonly requests: number;
}

/** How often each status was answered; `lost` if the connection ended without one. */
export type Answers = Readonly<Record<string, number>>;

const CHUNK = Buffer.alloc(64 * 1_024, 'x');
const GIVE_UP_MS = 30_000;
// The flood stands for other machines, so the gateway and its clients go first on this one.
const LOWEST_PRIORITY = 19;

setPriority(LOWEST_PRIORITY);
process.on('message', (flood: Flood) => {
  void Promise.all(Array.from({ length: flood.requests }, () => send(flood))).then((statuses) => {
    const answers: Record<string, number> = {};
    for (const status of statuses) answers[status] = (answers[status] ?? 0) + 1;
    process.send?.(answers satisfies Answers);
  });
});

function send({ host, port, method, path, headers, bytes, body = '' }: Flood): Promise<string> {
  return new Promise((resolve) => {
    let status = 'lost';
    let left = bytes;
    const socket = connect(port, host);
    const write = (): void => {
      while (left > 0 && !socket.writableNeedDrain && socket.writable) {
        socket.write(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK);
        left -= CHUNK.length;
      }
    };
    socket.setTimeout(GIVE_UP_MS, () => socket.destroy());
    socket.on('connect', () => {
      const length =
        bytes + body.length === 0
          ? []
          : [`content-length: ${bytes + body.length}`, 'content-type: application/json'];
      const lines = [
        `${method} ${path} HTTP/1.1`,
        `host: ${host}:${port}`,
        'connection: close',
        ...headers,
        ...length,
      ];
      socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
      write();
    });
    socket.on('drain', write);
    socket.on('data', (chunk) => {
      if (status === 'lost') status = /^HTTP\/1\.1 (\d{3})/.exec(chunk.toString('latin1'))?.[1] ?? status;
    });
    // The gateway resets connections whose body it does not read.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(status));
  });
}
