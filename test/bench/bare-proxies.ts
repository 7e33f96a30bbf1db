/**
 * A minimal proxy with each of three libraries, to measure what the
 * gateway adds to them. No names, no limits, no log. Prints its URL.
 *
 *   node build/test/bench/bare-proxies.js node|reply-from|http-proxy UPSTREAM
 */
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { Agent, createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import replyFrom from '@fastify/reply-from';
import Fastify from 'fastify';
import type { Dispatcher } from 'undici';
import { Pool } from 'undici';

const BACKLOG = 4_096;
const [kind = '', upstream = ''] = process.argv.slice(2);

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
        const { connection: _c, 'keep-alive': _k, ...headers } = answer.headers;
        response.writeHead(answer.statusCode, headers as Record<string, string>);
        answer.body.pipe(response);
      })
      .catch(() => response.writeHead(502).end());
  });
}

/** undici refuses to send fields that concern the connection. */
function forwardable({ headers }: IncomingMessage): Record<string, string> {
  const { connection: _c, 'keep-alive': _k, ...rest } = headers;
  return rest as Record<string, string>;
}

/**
 * All defaults but two that a proxy for SOAP needs: a parser that passes
 * bodies on, as its README shows, since Fastify refuses text/xml; and the upstream's
 * own `Connection` is dropped, because clients that want theirs closed would be told that it is kept.
 */
async function fastifyAndReplyFrom(): Promise<Server> {
  const fastify = Fastify({ logger: false });
  fastify.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  await fastify.register(replyFrom, { base: upstream });
  const rewriteHeaders = ({ connection: _c, 'keep-alive': _k, ...headers }: IncomingHttpHeaders) => headers;
  fastify.all('/*', (request, reply) => void reply.from(request.url, { rewriteHeaders }));
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

const MAKERS: Readonly<Record<string, () => Server | Promise<Server>>> = {
  node: nodeAndUndici,
  'reply-from': fastifyAndReplyFrom,
  'http-proxy': httpProxy,
};

const make = MAKERS[kind];
if (make === undefined) throw new Error(`no such proxy: ${kind}`);
const server = await make();
server.listen(0, '127.0.0.1', BACKLOG, () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
