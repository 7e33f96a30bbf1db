import type { Pattern } from '../config/pattern.ts';
import { compilePattern } from '../config/pattern.ts';
import type { Config } from '../config/schema.ts';
import { lookedForKey } from '../core/seen-names.ts';
import { foundUserCheck } from '../identity/found-user.ts';
import { HeaderIdentityExtractor } from '../identity/header-identity.ts';
import { OperationList } from '../proxy/agent-operations.ts';
import type { ExplainedNaming } from '../proxy/explained-request.ts';
import { Identifier } from '../proxy/identify.ts';
import { BodySearch } from '../soap/body-search.ts';
import type { LookedFor } from '../telemetry/name-counts.ts';

// Elements about other people, and data of the call. Names inside them are not the agent's.
const OTHERS = [
  'agent',
  'agents',
  'attachedData',
  'itemAttachedData',
  'originator',
  'participant',
  'participants',
  'userIds',
  'users',
];

function anchored(pattern: string | undefined): Pattern | undefined {
  return pattern === undefined ? undefined : compilePattern(`^(?:${pattern})$`);
}

/** What explanations say about where names are looked for. */
export function explainedNaming({ identity }: Pick<Config, 'identity'>): ExplainedNaming {
  const { order, userHeader, sessionCookie, logon } = identity;
  return {
    userHeader: order.includes('header') ? userHeader : undefined,
    sessionCookie: order.includes('cookie') ? sessionCookie : undefined,
    readsBodies: order.includes('body'),
    hasLogon: logon.length > 0,
  };
}

/** The elements in which names are looked for, in the order in which {@link composeIdentifier} compiles the rules. */
export function lookedFor({ identity }: Pick<Config, 'identity'>): LookedFor {
  const { order, userElements, sessionElements, sessionLists } = identity;
  if (!order.includes('body')) return { user: [], session: [] };
  const label = ({ name, namespace, operation }: (typeof userElements)[number]): string =>
    [name, operation && `in ${operation}`, namespace && `of ${namespace}`].filter(Boolean).join(' ');
  return {
    user: userElements.map((rule) => lookedForKey('user', label(rule))),
    session: [...sessionElements.map(label), ...sessionLists].map((one) => lookedForKey('session', one)),
  };
}

export function composeIdentifier({ identity, limits }: Pick<Config, 'identity' | 'limits'>): Identifier {
  const { order } = identity;
  const logon = new OperationList(identity.logon, {
    match: identity.elementMatch,
    maxBytes: limits.identityBytes,
    maxDepth: limits.xmlDepth,
  });
  const asks = (source: 'header' | 'cookie' | 'body'): boolean => order.includes(source);
  const rules = [
    ...identity.userElements.map(({ name, ...rest }) => ({ kind: 'user' as const, local: name, ...rest })),
    ...identity.sessionElements.map(({ name, ...rest }) => ({
      kind: 'session' as const,
      local: name,
      ...rest,
    })),
  ];
  const before = (a: 'header' | 'cookie' | 'body', b: 'header' | 'cookie' | 'body'): boolean =>
    asks(a) && (!asks(b) || order.indexOf(a) < order.indexOf(b));
  return new Identifier({
    header: new HeaderIdentityExtractor({
      userHeader: asks('header') ? identity.userHeader : undefined,
      sessionCookie: asks('cookie') ? identity.sessionCookie : undefined,
      userPattern: anchored(identity.userPattern.header),
    }),
    search: asks('body')
      ? new BodySearch(rules, {
          maxBytes: limits.identityBytes,
          maxDepth: limits.xmlDepth,
          match: identity.elementMatch,
          lists: identity.sessionLists,
          others: OTHERS,
          wantsOperation: true,
          wantsRanks: true,
          check: foundUserCheck(anchored(identity.userPattern.body)),
        })
      : undefined,
    bodyFirst: before('body', 'header'),
    logon: logon.isEmpty ? undefined : logon,
    searchBytes: limits.identityBytes,
    onUnreadable: identity.onUnreadable,
    addressMask: identity.addressMask,
  });
}
