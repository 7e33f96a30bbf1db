import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A connector of the least work, in a process of its own. It answers `/long` with more than the buffers of sockets hold. */

const LONG = Buffer.alloc(8 * 1_024 * 1_024);

const server = createServer((request, response) => {
  request.resume();
  request.once('end', () => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(request.url === '/long' ? LONG : 'ok');
  });
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());
