import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';

/**
 * A server of the least work, in a process of its own: what an attack on it costs the agents, the machine costs them,
 * and not the gateway. It keeps as many connections as its argument says, closes the oldest ones for new ones, and
 * answers whole requests.
 */
const MOST = Number(process.argv[2]);
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok';
const LONG = Buffer.alloc(8 * 1_024 * 1_024);

const held = new Set<Socket>();
const server = createServer((socket) => {
  held.add(socket);
  const [oldest] = held;
  if (held.size > MOST && oldest !== undefined) close(oldest);
  socket.on('error', () => undefined);
  socket.on('close', () => held.delete(socket));
  socket.once('data', (data) => {
    const request = data.toString('latin1').toLowerCase();
    if (request.startsWith('get /long ')) socket.write(LONG);
    else if (request.includes('\r\nconnection: close\r\n')) socket.end(ANSWER);
  });
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());

function close(socket: Socket): void {
  held.delete(socket);
  socket.destroy();
}
