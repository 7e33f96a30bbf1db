/**
 * The upstream of all measured proxies, as cheap as it can be: reads a request, answers a small SOAP message, and does
 * nothing else. `/bytes/N` is answered with N bytes. Prints its URL.
 *
 *   node build/test/bench/upstream.js
 */
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';

const BODY =
  '<?xml version="1.0" encoding="utf-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">' +
  '<soapenv:Body><setWorkmodeResponse/></soapenv:Body></soapenv:Envelope>';
const ANSWER = Buffer.from(headOf(BODY.length, false) + BODY);
const LAST_ANSWER = Buffer.from(headOf(BODY.length, true) + BODY);
const PIECE = Buffer.alloc(64 * 1_024, 'x');
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const LAST_CHUNK = '0\r\n\r\n';

/** What is left of the request whose head has been read. */
interface Message {
  readonly bytes: number;
  readonly closes: boolean;
  /** Bytes of the body that are still to come; undefined if it is chunked. */
  rest: number | undefined;
}

const server = createServer({ noDelay: true }, (socket) => {
  let pending: Buffer | undefined;
  let message: Message | undefined;
  // Clients send the next request when they have the answer, so a chunk never holds the end of one and the start of the next.
  socket.on('data', (chunk) => {
    let data = pending === undefined ? chunk : Buffer.concat([pending, chunk]);
    pending = undefined;
    if (message === undefined) {
      const end = data.indexOf(END_OF_HEAD);
      if (end < 0) {
        pending = data;
        return;
      }
      message = messageOf(data.toString('latin1', 0, end));
      data = data.subarray(end + END_OF_HEAD.length);
    }
    if (message.rest === undefined) {
      pending = data.subarray(-LAST_CHUNK.length);
      if (pending.toString('latin1') !== LAST_CHUNK) return;
      pending = undefined;
    } else {
      message.rest -= data.length;
      if (message.rest > 0) return;
    }
    const whole = message;
    message = undefined;
    answer(socket, whole);
  });
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', 4_096, () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});

function messageOf(head: string): Message {
  const bytes = /^GET \/bytes\/(\d+) /.exec(head)?.[1];
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  const isChunked = length === undefined && /\r\ntransfer-encoding: *chunked/i.test(head);
  return {
    bytes: Number(bytes ?? 0),
    closes: /\r\nconnection: *close/i.test(head),
    rest: isChunked ? undefined : Number(length ?? 0),
  };
}

function answer(socket: Socket, { bytes, closes }: Message): void {
  if (bytes > 0) send(socket, bytes, closes);
  else if (closes) socket.end(LAST_ANSWER);
  else socket.write(ANSWER);
}

/** As fast as the client reads. */
function send(socket: Socket, bytes: number, closes: boolean): void {
  let left = bytes;
  socket.write(headOf(bytes, closes));
  const go = (): void => {
    while (left > 0) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      left -= piece.length;
      if (!socket.write(piece) && left > 0) {
        socket.once('drain', go);
        return;
      }
    }
    if (closes) socket.end();
  };
  go();
}

function headOf(length: number, closes: boolean): string {
  const end = closes ? 'Connection: close\r\n\r\n' : '\r\n';
  return `HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: ${length}\r\n${end}`;
}
