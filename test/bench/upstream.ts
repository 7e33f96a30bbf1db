/**
 * The upstream of all measured proxies: reads the request, answers a small SOAP
 * message, and does nothing else. Prints its URL.
 *
 *   node build/test/bench/upstream.js
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const ANSWER = Buffer.from(
  '<?xml version="1.0" encoding="utf-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">' +
    '<soapenv:Body><setWorkmodeResponse/></soapenv:Body></soapenv:Envelope>',
);
const HEADERS = { 'content-type': 'text/xml; charset=utf-8', 'content-length': ANSWER.length };

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume().once('end', () => {
    response.writeHead(200, HEADERS);
    response.end(ANSWER);
  });
});
server.listen(0, '127.0.0.1', 4_096, () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
