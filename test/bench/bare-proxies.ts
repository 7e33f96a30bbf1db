/**
 * A minimal proxy with each of several libraries, to measure what the gateway adds to them. No names, no limits, and no log
 * but where the name says so. Prints its URL.
 *
 *   node build/test/bench/bare-proxies.js floor|node|reply-from|reply-from-log|http-proxy|net UPSTREAM
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo, Server } from 'node:net';
import { connect, createServer as createTcpServer } from 'node:net';
import replyFrom from '@fastify/reply-from';
import Fastify from 'fastify';
import type { Dispatcher } from 'undici';
import { Pool } from 'undici';

const BACKLOG = 4_096;
const [kind = '', upstream = ''] = process.argv.slice(2);

/** The least that a proxy on node:http costs: the body of the request is held, and the answer is sent in one piece. */
function floor(): Server {
  const pool = new Pool(upstream);
  return createServer((request, response) => {
    const body: Buffer[] = [];
    request.on('data', (chunk: Buffer) => body.push(chunk));
    request.once('end', () => pool.dispatch(wholeOf(request, body), answerTo(response)));
  });
}

function wholeOf(request: IncomingMessage, body: readonly Buffer[]): Dispatcher.DispatchOptions {
  return {
    method: request.method as Dispatcher.HttpMethod,
    path: request.url ?? '/',
    headers: forwardable(request),
    body: body.length === 0 ? null : body.length === 1 ? (body[0] as Buffer) : Buffer.concat(body),
  };
}

function answerTo(response: ServerResponse): Dispatcher.DispatchHandler {
  const body: Buffer[] = [];
  return {
    onRequestStart() {},
    onResponseStart(_controller, status, headers) {
      response.writeHead(status, endToEnd(headers));
    },
    onResponseData(_controller, chunk) {
      body.push(chunk);
    },
    onResponseEnd() {
      response.end(body.length === 1 ? body[0] : Buffer.concat(body));
    },
    onResponseError() {
      response.writeHead(502).end();
    },
  };
}

function nodeAndUndici(): Server {
  const pool = new Pool(upstream);
  return createServer((request, response) => {
    pool
      .request({
        method: request.method as Dispatcher.HttpMethod,
        path: request.url ?? '/',
        headers: forwardable(request),
        body: request,
      })
      .then((answer) => {
        response.writeHead(answer.statusCode, endToEnd(answer.headers));
        answer.body.pipe(response);
      })
      .catch(() => response.writeHead(502).end());
  });
}

/** undici refuses to send fields that concern the connection. */
function forwardable({ headers }: IncomingMessage): Record<string, string> {
  return endToEnd(headers);
}

/** Clients that want their connection closed would otherwise be told that it is kept. */
function endToEnd(headers: IncomingHttpHeaders): Record<string, string> {
  const { connection: _c, 'keep-alive': _k, ...rest } = headers;
  return rest as Record<string, string>;
}

/** All defaults, but for a parser that passes bodies on, as its README shows, since Fastify refuses text/xml. */
async function fastifyAndReplyFrom(logger: boolean): Promise<Server> {
  const fastify = Fastify({ logger });
  fastify.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  await fastify.register(replyFrom, { base: upstream });
  fastify.all('/*', (request, reply) => void reply.from(request.url, { rewriteHeaders: endToEnd }));
  await fastify.ready();
  return fastify.server;
}

interface HttpProxy {
  web(request: IncomingMessage, response: ServerResponse): void;
  on(
    event: 'error',
    listener: (error: Error, request: IncomingMessage, response: ServerResponse) => void,
  ): void;
}

/** Kept-alive connections to the upstream, as the others have; its default is without. */
function httpProxy(): Server {
  // The package contains no types.
  const { createProxyServer } = createRequire(import.meta.url)('http-proxy') as {
    createProxyServer(options: object): HttpProxy;
  };
  const proxy = createProxyServer({ target: upstream, agent: new Agent({ keepAlive: true }) });
  proxy.on('error', (_error, _request, response) => response.writeHead(502).end());
  return createServer((request, response) => proxy.web(request, response));
}

/** Passes bytes on, and opens a connection for each one that it accepts. */
function bytes(): Server {
  const { hostname, port } = new URL(upstream);
  return createTcpServer({ noDelay: true }, (client) => {
    const instance = connect({ host: hostname, port: Number(port), noDelay: true });
    client.pipe(instance).pipe(client);
    client.on('error', () => instance.destroy());
    instance.on('error', () => client.destroy());
  });
}

const MAKERS: Readonly<Record<string, () => Server | Promise<Server>>> = {
  floor,
  node: nodeAndUndici,
  'reply-from': () => fastifyAndReplyFrom(false),
  'reply-from-log': () => fastifyAndReplyFrom(true),
  'http-proxy': httpProxy,
  net: bytes,
};

const make = MAKERS[kind];
if (make === undefined) throw new Error(`no such proxy: ${kind}`);
const server = await make();
server.listen(0, '127.0.0.1', BACKLOG, () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
