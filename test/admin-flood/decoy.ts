import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A server of the least work, in a process of its own: what a flood of it costs the agents, the machine costs them, and
 * not the gateway.
 */
const server = createServer((_request, response) => {
  response.writeHead(401, { connection: 'close' }).end();
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());
