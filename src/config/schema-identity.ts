import Type from 'typebox';
import { choice, count, entry, reload, restart, section, text, written } from './option.ts';
import { XML_NAME, XML_NAME_EXPECTS } from './schema-pool.ts';

// RFC 9110 §5.6.2, and RFC 6265 §4.1.1 for the names of cookies.
export const TOKEN = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$";
export const TOKEN_EXPECTS = "a name of letters, digits and !#$%&'*+.^_`|~-";

export interface ElementRule {
  /** Local name. */
  readonly name: string;
  /** Only in this namespace; any without. */
  readonly namespace?: string;
  /** Only in this operation, the child of the SOAP Body; any without. */
  readonly operation?: string;
}

export interface LogonRule {
  /** Local name. */
  readonly operation: string;
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
    'agentNames',
    elements(
      'Elements of the SOAP message that hold the user name, the best first. Each is a local name, or a section with `name`, `namespace` and `operation`.',
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
    'agentNames',
    Type.Array(
      Type.Unsafe<LogonRule>({
        anyOf: [
          text('Local name of the operation.', { pattern: XML_NAME, expects: XML_NAME_EXPECTS }),
          entry('An operation.', {
            operation: text('Local name of the operation.', { pattern: XML_NAME, expects: XML_NAME_EXPECTS }),
          }),
        ],
        shorthand: 'operation',
        expects: XML_NAME_EXPECTS,
      }),
      {
        default: [],
        description:
          'Operations (first elements in the SOAP Body) that log an agent on. Names in their bodies count like those of header and cookie. Other bodies cannot link a user to a session: a user beside a session is ignored there. Each is a local name, or a section with `operation`. Without a list, every body may link a user to a session that has none, even if the body names another person.',
      },
    ),
  ),
  userPattern: section(
    'Regular expressions (RE2) that a whole user name must match. The name is in upper case. A text that does not match is ignored.',
    {
      header: restart('agentNames', Type.Optional(written('pattern', 'For users in the header.'))),
      body: restart('agentNames', Type.Optional(written('pattern', 'For users in a SOAP message.'))),
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
