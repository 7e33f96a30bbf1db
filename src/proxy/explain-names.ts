import type { ErrorCode } from '../core/errors.ts';
import { ERRORS } from '../core/errors.ts';
import type { ExplainedName, ExplainStep } from '../core/explanation.ts';
import type { RequestName } from '../core/identity.ts';
import { namesOf } from '../core/identity.ts';
import { storedForm } from '../core/stored-name.ts';
import type { Ambiguity, HeaderIdentity } from '../identity/header-identity.ts';
import type { PoolTable } from './admission.ts';
import type { ExplainedNaming, ExplainedRequest } from './explained-request.ts';
import type { Pool } from './pool.ts';

/** How the pool of the request was found. */
export function admissionSteps(
  { host, path, raw }: ExplainedRequest,
  table: PoolTable<Pool>,
  found: Pool | undefined,
): ExplainStep[] {
  const shown = `${raw.method ?? ''} ${host ?? ''}${withoutParameters(path)}`;
  const read: ExplainStep = { part: 'request', applies: true, rule: 'the HTTP request', found: shown };
  if (found === undefined) return [read];
  const rules = table.tried(host, path).map(
    (rule): ExplainStep => ({
      part: 'pool',
      applies: rule.matches,
      rule: `${rule.host === undefined ? 'any host' : `host ${rule.host}`}, path ${rule.path}`,
      found: rule.matches ? `pool ${rule.pool.name}` : `not for pool ${rule.pool.name}`,
    }),
  );
  return [read, ...rules];
}

/** Queries and parameters of paths may hold sessions. */
function withoutParameters(path: string): string {
  return path.replace(/[?;].*$/s, '');
}

const AMBIGUITIES: Readonly<Record<Ambiguity, string>> = {
  'repeated-user-header': 'the header occurs more than once',
  'conflicting-cookies': 'the cookie has two values, and no user decides',
  'hop-by-hop': 'Connection names a header that decides the route',
};

/** What the header of the request says about its agent. */
export function headerSteps(names: HeaderIdentity, naming: ExplainedNaming): ExplainStep[] {
  const { user, session, ambiguity, refused } = names;
  const isOfCookie = ambiguity === 'conflicting-cookies';
  const why = ambiguity && AMBIGUITIES[ambiguity];
  const unused = (source: 'header' | 'cookie'): string | undefined =>
    refused?.source === source ? `a value that cannot be a name: ${refused.reason}` : undefined;
  const header: ExplainStep =
    naming.userHeader === undefined
      ? { part: 'header', applies: false, rule: 'user header', found: 'identity.order does not name it' }
      : {
          part: 'header',
          applies: user !== undefined,
          rule: `header ${naming.userHeader} names the user`,
          found: user ?? (isOfCookie ? undefined : why) ?? unused('header') ?? 'absent or empty',
        };
  const cookie: ExplainStep =
    naming.sessionCookie === undefined
      ? { part: 'cookie', applies: false, rule: 'session cookie', found: 'identity.order does not name it' }
      : {
          part: 'cookie',
          applies: session !== undefined,
          rule: `cookie ${naming.sessionCookie} names the session`,
          found:
            shownSession(session) ?? (isOfCookie ? why : undefined) ?? unused('cookie') ?? 'absent or empty',
        };
  return [header, cookie];
}

/** What the body says, and the address. */
export function bodySteps(request: ExplainedRequest, pool: Pool, naming: ExplainedNaming): ExplainStep[] {
  if (!pool.bindsAgents)
    return [
      { part: 'body', applies: false, rule: 'the pool binds no agents, so no body is searched', found: null },
    ];
  const steps: ExplainStep[] = [bodyStep(request, naming)];
  if (pool.anonymous === 'address')
    steps.push({
      part: 'address',
      applies: request.address !== undefined && request.user === undefined && request.session === undefined,
      rule: 'the network of the client is the name of requests without another name',
      found:
        request.address ?? (request.user === undefined ? 'no client address is given' : 'there is a user'),
    });
  return steps;
}

function bodyStep(request: ExplainedRequest, naming: ExplainedNaming): ExplainStep {
  const rule = 'elements of the SOAP body name user and session';
  const { operation, unnamedBecause, userIsInBody, sessionIsInBody, body } = request;
  const none = (found: string): ExplainStep => ({ part: 'body', applies: false, rule, found });
  if (!naming.readsBodies) return none('identity.order does not name it');
  if (body === undefined || (body.complete && body.head.length === 0)) return none('there is no body');
  const ignored = request.ignored.filter(({ source }) => source === 'body').map(({ reason }) => reason);
  const parts = [
    operation === undefined ? undefined : `operation ${operation}`,
    userIsInBody ? `user ${request.user ?? 'that is not used'}` : undefined,
    sessionIsInBody ? `session ${shownSession(request.session) ?? 'that is not used'}` : undefined,
    ignored.length > 0 ? `values that cannot be names: ${ignored.join(', ')}` : undefined,
    unnamedBecause === undefined ? undefined : `no name, because: ${unnamedBecause}`,
    naming.hasLogon && (userIsInBody || sessionIsInBody)
      ? request.userIsFound || request.sessionIsFound
        ? 'no log-on, so the name is only found'
        : 'a log-on, so the names are asserted'
      : undefined,
  ].filter((part) => part !== undefined);
  if (parts.length === 0 && (request.user !== undefined || request.session !== undefined))
    return none('not searched: the header has named the agent');
  return {
    part: 'body',
    applies: userIsInBody || sessionIsInBody,
    rule,
    found: parts.length === 0 ? 'no name' : parts.join('; '),
  };
}

/** The names of the request, as the router uses them. */
export function namesOfRequest(request: ExplainedRequest, source: 'asked' | undefined): ExplainedName[] {
  return namesOf(request).map((name) => {
    const { kind, found } = name;
    return {
      kind,
      value: storedForm(name).value,
      evidence: found === true ? 'found' : 'asserted',
      source: kind === 'address' ? 'address' : (source ?? sourceOf(request, name)),
    };
  });
}

function sourceOf(request: ExplainedRequest, { kind }: RequestName): 'header' | 'cookie' | 'body' {
  if (kind === 'user') return request.userIsInBody ? 'body' : 'header';
  return request.sessionIsInBody ? 'body' : 'cookie';
}

/** A session opens to anyone who reads its value, so its digest is shown. */
function shownSession(value: string | undefined): string | undefined {
  return value === undefined ? undefined : storedForm({ kind: 'session', value }).value;
}

export function textOfRefusal(code: ErrorCode): string {
  return `The request gets ${code}: ${ERRORS[code].message}.`;
}
