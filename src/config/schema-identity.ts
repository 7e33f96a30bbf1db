import * as Type from 'typebox';
import {
  choice,
  count,
  duration,
  entry,
  reload,
  restart,
  section,
  TOKEN,
  TOKEN_EXPECTS,
  text,
  written,
} from './option.ts';
import { XML_NAME, XML_NAME_EXPECTS } from './schema-pool.ts';

export interface ElementRule {
  /** Local name. */
  readonly name: string;
  /** Only in this namespace; any without. */
  readonly namespace?: string;
  /** Only in this operation, the child of the SOAP Body; any without. */
  readonly operation?: string;
}

export interface OperationRule {
  /** Local name. */
  readonly operation: string;
  /** Only if this element, by its local name, has the value; any value without. */
  readonly element?: string;
  readonly value?: string;
}

function operations(description: string) {
  const name = { pattern: XML_NAME, expects: XML_NAME_EXPECTS };
  return Type.Array(
    Type.Unsafe<OperationRule>({
      anyOf: [
        text('Local name of the operation.', name),
        entry('An operation.', {
          operation: text('Local name of the operation.', name),
          element: Type.Optional(text('Local name of an element in the operation. Needs `value`.', name)),
          value: Type.Optional(
            text('The operation counts only if the element has this value. Needs `element`.', {}),
          ),
        }),
      ],
      shorthand: 'operation',
      expects: XML_NAME_EXPECTS,
    }),
    { default: [], description },
  );
}

function elements(description: string, names: readonly string[]) {
  const name = { pattern: XML_NAME, expects: XML_NAME_EXPECTS };
  const rule = entry('An element of the SOAP message.', {
    name: text('Local name of the element, with any prefix.', name),
    namespace: Type.Optional(text('Namespace URI of the element. Default: any.')),
    operation: Type.Optional(
      text(
        'Local name of the operation, the first element in the SOAP Body, that contains the element. Default: any.',
        name,
      ),
    ),
  });
  return Type.Array(
    Type.Unsafe<ElementRule>({
      anyOf: [text('Local name of the element.', name), rule],
      shorthand: 'name',
      expects: XML_NAME_EXPECTS,
    }),
    { default: names, description },
  );
}

export const identity = section('How the gateway finds the agent that a request is for.', {
  order: restart(
    'agentNames',
    Type.Array(choice(['header', 'cookie', 'body'], 'An extractor.', {}), {
      default: ['header', 'cookie', 'body'],
      minItems: 1,
      uniqueItems: true,
      description:
        'Where to look, in this order. Places that are not listed are ignored. The body is searched only if the places before it leave a name open, or for `logon`; it never overrides a header or a cookie.',
    }),
  ),
  userHeader: restart(
    'agentNames',
    text('Header with the user name of the agent (SAP Note 1640673).', {
      default: 'soapuser',
      pattern: TOKEN,
      expects: TOKEN_EXPECTS,
    }),
  ),
  sessionCookie: restart(
    'agentNames',
    text('Cookie with the communication session (SAP Note 1640673). Its letter case matters.', {
      default: 'WS_SESSION_ID',
      pattern: TOKEN,
      expects: TOKEN_EXPECTS,
    }),
  ),
  userElements: restart(
    'userElements',
    elements(
      'Elements of the SOAP message that hold the user name, the best first. Each is a local name, or a section with `name`, `namespace` and `operation`. Elements added at the end apply on reload.',
      ['userId', 'user', 'userName', 'soapUser'],
    ),
  ),
  sessionElements: restart(
    'agentNames',
    elements('Elements of the SOAP message that hold the session, in the same form.', [
      'appId',
      'applicationId',
      'sessionId',
      'wsSessionId',
    ]),
  ),
  sessionLists: restart(
    'agentNames',
    Type.Array(text('Local name of the element.', { pattern: XML_NAME, expects: XML_NAME_EXPECTS }), {
      default: ['appIds'],
      uniqueItems: true,
      description:
        'Elements of the SOAP message that hold a list of sessions. A list counts if it holds exactly one item and the message has no element of `sessionElements`.',
    }),
  ),
  elementMatch: restart(
    'agentNames',
    choice(
      ['loose', 'exact'],
      'How names of elements and operations are compared. `loose`: case, `_` and `-` are ignored, so that `userId` also finds `USERID` and `user_id`. `exact`: character by character.',
      { default: 'loose' },
    ),
  ),
  logon: restart(
    'logons',
    operations(
      'Operations (first elements in the SOAP Body) that log an agent on. Names in their bodies count like those of header and cookie. Other bodies cannot link a user to a session: a user beside a session is ignored there. Each is a local name, or a section with `operation`, and with `element` and `value` if only that value means a log-on. Without a list, every body may link a user to a session that has none, even if the body names another person. An agent who has logged off by `logoff` and logs on again leaves an instance that drains.',
    ),
  ),
  logoff: reload(
    operations(
      'Operations that log an agent off, in the same form: `{ operation: setCurrentWorkmode, element: workmode, value: "1" }` for a connector where that work mode means it. If the instance answers one without a SOAP Fault, the binding of the agent ends after `logoffGrace`. A later request of the agent, at any gateway, keeps it: so list every operation that CRM sends when agents log off. Needs a request and an answer of at most `limits.identityBytes` and 64 KB.',
    ),
  ),
  logoffGrace: reload(
    duration(
      'How long a binding lasts after a log-off. For as long, a request of the agent still finds the instance. A drain by `health.emptyMatches` waits for as long without a request too.',
      { default: '30s', atLeast: '1s', atMost: '1h' },
    ),
  ),
  userPattern: section(
    'Regular expressions (RE2) that a whole user name must match. The name is in upper case. A text that does not match is ignored. A pattern that is removed, or continued with `|`, applies on reload.',
    {
      header: restart('headerPattern', Type.Optional(written('pattern', 'For users in the header.'))),
      body: restart('bodyPattern', Type.Optional(written('pattern', 'For users in a SOAP message.'))),
    },
  ),
  onUnreadable: reload(
    choice(
      ['anonymous', 'refuse'],
      'What happens to a message that must be searched and cannot be read (not XML, DOCTYPE, unknown encoding). `anonymous`: it counts as a request that names no agent. `refuse`: it is answered with a SOAP Fault.',
      { default: 'anonymous' },
    ),
  ),
  addressMask: section('How many leading bits of a client address count when agents are bound by address.', {
    ipv4: restart(
      'clientAddress',
      count('Bits of an IPv4 address; 24 makes one of a /24 network.', 0, 32, 32),
    ),
    ipv6: restart('clientAddress', count('Bits of an IPv6 address.', 0, 128, 64)),
  }),
});
