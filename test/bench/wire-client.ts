import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import { numbered, PATH, requestParts } from './load.ts';

// The client is not what is measured, so it is on sockets, without a parser.

/** The request of an agent, as bytes, which asks for its connection to be closed. */
export function requestBytes(url: string, agent: number): Buffer {
  const plan = {
    url,
    naming: 'header',
    connections: 'new',
    run: '',
    concurrency: 1,
    seconds: 0,
    agents: 1,
  } as const;
  const { headers, body } = requestParts(plan);
  const payload = numbered(body, agent);
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${numbered(value, agent)}\r\n`);
  const head = `POST ${PATH} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n${fields.join('')}`;
  return Buffer.from(`${head}Content-Length: ${Buffer.byteLength(payload)}\r\n\r\n${payload}`);
}

/** Sends a request on a new connection; resolves when its answer is complete. Rejects unless that is 200. */
export async function ask(url: string, request: Buffer): Promise<void> {
  await exchange(open(url), (socket) => socket.write(request));
}

/** The same over TLS. `isResumed` says whether the session given was resumed. */
export async function askTls(
  url: string,
  request: Buffer,
  session?: Buffer,
): Promise<{ readonly isResumed: boolean; readonly session: Buffer | undefined }> {
  const { hostname, port } = new URL(url);
  const options: ConnectionOptions = {
    host: hostname,
    port: Number(port),
    rejectUnauthorized: false,
    session,
  };
  const socket: TLSSocket = connectTls(options);
  let ticket: Buffer | undefined;
  let isResumed = false;
  socket.on('session', (given) => {
    ticket = given;
  });
  await exchange(socket, () => {
    isResumed = socket.isSessionReused();
    socket.write(request);
  });
  return { isResumed, session: ticket };
}

/** Sends a body of that many bytes. */
export async function upload(url: string, bytes: number): Promise<void> {
  const piece = Buffer.alloc(64 * 1_024, 'x');
  const type = 'Content-Type: application/octet-stream\r\nConnection: close\r\n';
  const head = `POST ${PATH} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nsoapuser: AGENT1\r\n${type}Content-Length: ${bytes}\r\n\r\n`;
  let left = bytes;
  await exchange(open(url), (socket) => {
    socket.write(head);
    const go = (): void => {
      while (left > 0) {
        const next = left < piece.length ? piece.subarray(0, left) : piece;
        left -= next.length;
        if (!socket.write(next) && left > 0) {
          socket.once('drain', go);
          return;
        }
      }
    };
    go();
  });
}

/** Fetches an answer of that many bytes from the upstream. */
export async function download(url: string, bytes: number): Promise<void> {
  const head = `GET /bytes/${bytes} HTTP/1.1\r\nHost: ${new URL(url).host}\r\nsoapuser: AGENT1\r\nConnection: close\r\n\r\n`;
  const received = await exchange(open(url), (socket) => socket.write(head));
  if (received < bytes) throw new Error(`${received} of ${bytes} bytes arrived`);
}

function open(url: string): Socket {
  const { hostname, port } = new URL(url);
  return connect({ host: hostname, port: Number(port), noDelay: true });
}

/** Resolves with the number of bytes received until the server closes the connection. */
function exchange(socket: Socket, send: (socket: Socket) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let status = '';
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => send(socket));
    socket.on('data', (chunk: Buffer) => {
      if (bytes === 0) status = chunk.toString('latin1', 0, 12);
      bytes += chunk.length;
    });
    socket.once('error', reject);
    socket.once('close', () => {
      if (status === 'HTTP/1.1 200') resolve(bytes);
      else reject(new Error(`an answer began with ${JSON.stringify(status)}`));
    });
  });
}
