import type { Random } from './random.ts';

/** One request as received. */
export interface Message {
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

/** How a request names its agent, and the other people in it. */
export interface Said {
  readonly operation: string;
  readonly header?: string | undefined;
  readonly cookie?: string | undefined;
  /** The people whose names stand in the elements for the agent. */
  readonly user?: string | undefined;
  readonly session?: string | undefined;
  /** Complete elements about others. */
  readonly others?: readonly string[];
}

const USER_ELEMENTS = ['userId', 'USERID', 'user_id', 'user', 'User', 'userName', 'USER_NAME', 'soapUser'];
const SESSION_ELEMENTS = ['appId', 'APP_ID', 'sessionId', 'applicationId', 'wsSessionId', 'appid'];

/** Writes the request in one of the formats of real systems. */
export function messageOf(said: Said, random: Random): Message {
  const rawHeaders = ['content-type', 'text/xml; charset=utf-8'];
  if (said.header !== undefined)
    rawHeaders.push(random.of(['soapuser', 'SoapUser']), spelled(said.header, random));
  if (said.cookie !== undefined) {
    const others = random.chance(0.3) ? 'sap-usercontext=sap-client=100; ' : '';
    rawHeaders.push('cookie', `${others}WS_SESSION_ID=${said.cookie}`);
  }
  const parts = [...(said.others ?? [])];
  const own: string[] = [];
  if (said.user !== undefined)
    own.push(element(random.of(USER_ELEMENTS), spelled(said.user, random), random));
  if (said.session !== undefined) own.push(sessionElement(said.session, random));
  // Names often stand in a structure, and it may come after those of others.
  const nested = random.chance(0.3) ? [`<in>${own.join('')}</in>`] : own;
  if (random.chance(0.5)) parts.unshift(...nested);
  else parts.push(...nested);
  return { rawHeaders, body: envelope(said.operation, parts.join('')) };
}

function envelope(operation: string, parameters: string): string {
  return (
    '<?xml version="1.0" encoding="utf-8"?>' +
    '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body>' +
    `<m:${operation} xmlns:m="urn:PLACEHOLDER">${parameters}</m:${operation}>` +
    '</SOAP-ENV:Body></SOAP-ENV:Envelope>'
  );
}

function element(name: string, value: string, random: Random): string {
  return random.chance(0.2)
    ? `<${name} xsi:type="xsd:string"> ${value} </${name}>`
    : `<${name}>${value}</${name}>`;
}

function sessionElement(session: string, random: Random): string {
  if (random.chance(0.2))
    return `<${random.of(['appIds', 'APP_IDS'])}><item>${session}</item></appIds>`.replace(
      /<(\w+)>(.*)<\/appIds>/,
      '<$1>$2</$1>',
    );
  return element(random.of(SESSION_ELEMENTS), session, random);
}

/** In any letter case. */
function spelled(user: string, random: Random): string {
  if (random.chance(0.6)) return user;
  return random.chance(0.5) ? user.toLowerCase() : user.charAt(0) + user.slice(1).toLowerCase();
}
