import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/**
 * A server of Node without a gateway, in a process of its own: what agents wait for here, no proxy on Node can spare
 * them. It holds as many connections as its argument says, closes the oldest ones for new ones, and answers itself.
 */
const MOST = Number(process.argv[2]);
const BACKLOG = 4_096;
const LONG = Buffer.alloc(8 * 1_024 * 1_024);

const held = new Set<Socket>();
const server: Server = createServer((request, response) => {
  request.resume();
  request.once('end', () => response.end(request.url === '/long' ? LONG : 'ok'));
});
server.on('connection', (socket: Socket) => {
  held.add(socket);
  socket.on('error', () => undefined);
  socket.once('close', () => held.delete(socket));
  const [oldest] = held;
  if (held.size <= MOST || oldest === undefined) return;
  held.delete(oldest);
  oldest.destroy();
});
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () =>
  process.send?.((server.address() as AddressInfo).port),
);
process.on('disconnect', () => process.exit());
