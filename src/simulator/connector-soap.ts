import { mediaTypeOf, writeFault } from '../soap/writer.ts';
import type { Session, Sessions } from './sessions.ts';
import type { Message, Parameters } from './wire.ts';
import {
  LOGGED_OFF,
  OBJECT_METHODS,
  UNKNOWN_CALL,
  UNKNOWN_SESSION,
  writeMessage,
  writeParameters,
} from './wire.ts';

/** One SOAP request, as the connector parsed it. */
export interface SoapCall {
  readonly message: Message;
  /** From the `soapuser` header, else from the body; `''` if neither has one. */
  readonly user: string;
  /** The `WS_SESSION_ID` cookie, or `''`. */
  readonly sessionId: string;
  /** The SHA-256 of the body as received, in hex. */
  readonly sha256: string;
}

export interface SoapReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface ConnectorIdentity {
  readonly name: string;
  readonly incarnation: string;
}

/** The methods that an agent may call before it is logged on. */
const WITHOUT_SESSION: ReadonlySet<string> = new Set([
  'exchangeProductInformation',
  'getAttributes',
  'subscribe',
]);

/**
 * Answers one SOAP request and changes the sessions accordingly.
 *
 * An agent that is not logged on here gets a Fault, as from a real connector that does
 * not know the agent. This reveals a misrouted request. Every answer names the
 * connector and describes what arrived.
 */
export function answerSoap(sessions: Sessions, call: SoapCall, self: ConnectorIdentity): SoapReply {
  const { method, version } = call.message;
  if (method === '') return fault(call, self, 'not a SOAP message');

  const session = sessions.find(call.user, call.sessionId, call.message.parameter('callId'));
  if (session === undefined && !isForAnyone(call)) {
    const isObject = isUnnamed(call) && OBJECT_METHODS.has(method);
    return fault(call, self, isObject ? UNKNOWN_CALL : UNKNOWN_SESSION);
  }
  if (session !== undefined) session.requests += 1;

  const result = perform(sessions, session, call);
  if (typeof result === 'string') return fault(call, self, result);
  return {
    status: 200,
    contentType: mediaTypeOf(version),
    body: writeMessage(version, `${method}Response`, [...receipt(call, self), ...result]),
  };
}

function isUnnamed({ user, sessionId }: SoapCall): boolean {
  return user === '' && sessionId === '';
}

/** Also the search for all agents may come without the agent who searches. */
function isForAnyone(call: SoapCall): boolean {
  const { method } = call.message;
  return WITHOUT_SESSION.has(method) || (method === 'getPresence' && isUnnamed(call));
}

/** Returns the parameters of the answer, or the string of a Fault. */
function perform(sessions: Sessions, session: Session | undefined, call: SoapCall): Parameters | string {
  const { message } = call;
  switch (message.method) {
    case 'exchangeProductInformation':
      return [
        ['product', 'ici-gateway simulated connector'],
        ['version', '1'],
      ];
    case 'getAttributes':
      return [
        ['loggedOn', String(session !== undefined)],
        ['workmode', session?.workMode ?? LOGGED_OFF],
      ];
    case 'subscribe': {
      if (call.user === '') return 'subscribe names no user';
      const appId = message.parameter('appId') ?? '';
      const subscribed = sessions.subscribe(
        call.user,
        call.sessionId,
        appId,
        message.parameter('appUrl') ?? '',
      );
      if (subscribed === undefined) return 'too many sessions';
      if (subscribed !== session) subscribed.requests += 1;
      return [['appId', appId]];
    }
    case 'unsubscribe':
      session?.subscriptions.delete(message.parameter('appId') ?? '');
      return [];
    case 'setCurrentWorkmode': {
      const workMode = message.parameter('workmode') ?? '';
      if (session === undefined || workMode === '') return 'setCurrentWorkmode names no work mode';
      if (workMode === LOGGED_OFF) sessions.end(session);
      else session.workMode = workMode;
      return [['workmode', workMode]];
    }
    case 'getPresence':
      return [['users', sessions.users()]];
    case 'setWorkcenter':
      if (session !== undefined) session.workCenter = message.parameter('workcenter') ?? '';
      return [];
    case 'makeCall':
      if (session !== undefined) sessions.addCall(session, message.parameter('callId') ?? '');
      return [['result', 'OK']];
    default:
      // setCurrentQueues, setAttachedData, transferCall and all other methods of an agent's work.
      return [['result', 'OK']];
  }
}

export function fault(
  call: SoapCall,
  self: ConnectorIdentity,
  text: string,
  code: 'Client' | 'Server' = 'Client',
): SoapReply {
  const { version } = call.message;
  return {
    status: 500,
    contentType: mediaTypeOf(version),
    body: writeFault(version, { code, reason: text, detail: writeParameters(receipt(call, self)) }),
  };
}

function receipt(call: SoapCall, self: ConnectorIdentity): Parameters {
  return [
    ['connector', self.name],
    ['incarnation', self.incarnation],
    ['user', call.user],
    ['session', call.sessionId],
    ['sha256', call.sha256],
  ];
}
