import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Fastify from 'fastify';
import { ActRefused } from '../core/act-refused.ts';
import { networkOf } from '../core/network.ts';
import { loopAnswer } from '../core/via.ts';
import { basicCredentials } from '../passwords/credentials.ts';
import type { PasswordGate } from '../passwords/password-gate.ts';
import { Connections } from '../sockets/connections.ts';
import type { Logger } from '../telemetry/logger.ts';
import { readCall, writeFault, writeResponse } from './envelope.ts';
import type { MethodName } from './message-types.ts';
import type { Methods } from './methods.ts';
import { SoapFault } from './soap-fault.ts';
import { wsdl } from './wsdl.ts';

/**
 * Authorizes the protected methods. `everyone` is for a socket that only its owner can
 * open; without a gate all calls are refused.
 */
export type Trust = 'everyone' | PasswordGate | undefined;

export interface SapControlServerOptions {
  readonly methods: Methods;
  readonly trust: Trust;
  readonly logger: Logger;
  /** Keeps a connection open while its answer is being made, see `admin/idle-connections.ts`. */
  readonly keepPendingConnections: (fastify: FastifyInstance) => void;
  /** Host and port for the WSDL if the request has no Host header. */
  readonly authority: string;
  /** The gateway's name in `Via`. */
  readonly via: string;
}

const MOST_BYTES = 64 * 1_024;
const MOST_CONNECTIONS = 100;
const XML = 'text/xml; charset=utf-8';
const REALM = 'Basic realm="SAPControl", charset="UTF-8"';

/** The problem is in HTTP itself, not in the call. */
class Refusal extends SoapFault {
  readonly status: number;

  constructor(status: number, message: string) {
    super('Client', message);
    this.status = status;
  }
}

/**
 * The SAPControl web service on its own listener.
 *
 *   POST /…       a method call at any path; clients use `/` and `/SAPControl.cgi`
 *   GET /…?wsdl   the WSDL, at any path and in any letter case; clients use `/`, `/SAPControl`, `/sapcontrol.cgi`
 */
export function createSapControlServer(options: SapControlServerOptions): FastifyInstance {
  const { methods, trust, logger, authority } = options;
  const fastify = Fastify({
    logger: false,
    bodyLimit: MOST_BYTES,
    requestTimeout: 10_000,
    connectionTimeout: 30_000,
    forceCloseConnections: true,
    // While the gateway stops, requests on open connections still get the real state instead of a 503.
    return503OnClosing: false,
    // Any path will do, even one that cannot be decoded.
    rewriteUrl: ({ url = '/', method }) => (method === 'POST' ? '/' : asksForWsdl(url) ? '/?wsdl' : url),
    frameworkErrors: (_error, _request, reply) => notFound(reply),
  });
  const tooMany = (peer: string): void =>
    logger.warn({ peer }, 'closed a connection: the SAPControl port has too many');
  new Connections(fastify.server, { most: MOST_CONNECTIONS, onRefused: tooMany, onGiveWay: tooMany });
  options.keepPendingConnections(fastify);
  fastify.removeAllContentTypeParsers();
  fastify.addHook('onRequest', async ({ headers }, reply) => {
    const loop = loopAnswer(headers.via, options.via);
    return loop && reply.code(loop.status).type('text/plain').send(loop.text);
  });
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  fastify.post('/', async (request, reply) => {
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity') throw new Refusal(415, 'send the message without Content-Encoding');
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const call = readCall(body);
    const answer = await methods.run(call, (method) => requireAccess(method, request, trust, logger));
    return reply.type(XML).send(writeResponse(call.method, answer));
  });
  fastify.get('/', async ({ url, headers }, reply) => {
    if (!asksForWsdl(url)) return notFound(reply);
    return reply.type(XML).send(wsdl(`http://${headers.host ?? authority}/SAPControl.cgi`));
  });
  fastify.setNotFoundHandler((_request, reply) => notFound(reply));
  fastify.setErrorHandler<FastifyError | SoapFault>((error, _request, reply) => {
    answerError(error, reply, logger);
  });
  return fastify;
}

function notFound(reply: FastifyReply): FastifyReply {
  return reply.code(404).type('text/plain').send('not found: this port has /?wsdl and takes SOAP by POST\n');
}

/** Is the query `wsdl`, or has it a parameter of this name? */
function asksForWsdl(url: string): boolean {
  return /^[^?#]*\?(?:[^#]*&)?wsdl(?:[&=#]|$)/i.test(url);
}

/** Throws if the caller may not call `method`. */
async function requireAccess(
  method: MethodName,
  { headers, socket }: FastifyRequest,
  trust: Trust,
  logger: Logger,
): Promise<void> {
  // A browser adds a stored password by itself, to requests of any page.
  if (headers.origin !== undefined) throw new Refusal(403, `${method} is not for pages in a browser`);
  const peer = socket.remoteAddress ?? 'unix socket';
  if (trust === undefined)
    throw new SoapFault(
      'Server',
      `permission denied: ${method} needs the Unix socket or sapcontrol.passwordFile, which this gateway does not have`,
    );
  if (trust === 'everyone') {
    logger.info({ method, user: 'owner of the socket', peer }, 'sapcontrol call allowed');
    return;
  }
  const shown = basicCredentials(headers.authorization);
  if (shown === undefined)
    throw new Refusal(401, `${method} needs a user and password, by Basic authentication`);
  const verdict = await trust.check(shown, networkOf(peer));
  switch (verdict.kind) {
    case 'granted':
      logger.info({ method, user: verdict.record.user, peer }, 'sapcontrol call allowed');
      return;
    case 'busy':
      throw new Refusal(503, 'too many passwords are being checked; try again');
    case 'wrong':
      logger.warn({ method, peer }, 'sapcontrol call refused: wrong user or password');
      throw new Refusal(401, 'invalid credentials: the user or the password is wrong');
  }
}

function answerError(error: FastifyError | SoapFault, reply: FastifyReply, logger: Logger): void {
  const { fault, status } = faultOf(error);
  if (status === 500 && fault.message === FAILED) logger.error({ err: error }, 'sapcontrol call failed');
  if (status === 401) reply.header('www-authenticate', REALM);
  // Further requests on this connection cannot be told apart from the unread rest of this one, so it closes.
  if (status === 413) reply.header('connection', 'close');
  reply.code(status).type(XML).send(writeFault(fault));
}

const FAILED = 'the gateway failed; see its log';

function faultOf(error: FastifyError | SoapFault): { fault: SoapFault; status: number } {
  if (error instanceof Refusal) return { fault: error, status: error.status };
  if (error instanceof SoapFault) return { fault: error, status: 500 };
  if (error instanceof ActRefused) return { fault: new SoapFault('Server', error.message), status: 500 };
  const status = (error as FastifyError).statusCode ?? 500;
  if (status === 413)
    return { fault: new SoapFault('Client', `a message has at most ${MOST_BYTES} bytes`), status };
  if (status >= 400 && status < 500)
    return { fault: new SoapFault('Client', 'the request is not valid HTTP'), status };
  return { fault: new SoapFault('Server', FAILED), status: 500 };
}
