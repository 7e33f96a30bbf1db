import * as Type from 'typebox';
import type { AgentCause, AgentIdentity } from '../../core/agent-status.ts';
import type { NameKind } from '../../core/identity.ts';
import {
  CURSOR,
  count,
  INSTANCE,
  limit,
  MOMENT_EXPECTS,
  NEXT,
  nullable,
  query,
  text,
  time,
  timeOrNull,
  word,
} from './fields.ts';

const NAME = Type.String({
  description: 'a user name in its stored form, or a session or an address after its kind',
});
const LAST_ACTIVE = time("the agent's last request, as exact as lastActiveWithinSeconds says");
const EXPIRES = Type.Integer({ description: 'seconds until the binding ends without a request' });
const LOGGED_OFF = Type.Boolean({
  description: 'the agent has logged off and sent no request since, so the binding ends soon',
});
const WITHIN = count('the greatest error of lastActive, in seconds, in either direction');
const INCARNATION = nullable(Type.String(), 'the run of the instance; null if it is not known');

const BINDING = Type.Object(
  {
    name: NAME,
    instance: Type.String(),
    incarnation: INCARNATION,
    generation: count('grows by one with every move'),
    lastActive: LAST_ACTIVE,
    loggedOff: LOGGED_OFF,
    expiresInSeconds: EXPIRES,
  },
  { title: 'BindingStatus', description: 'one agent and its instance' },
);

export const BINDINGS = Type.Object(
  { bindings: Type.Array(BINDING), lastActiveWithinSeconds: WITHIN, next: NEXT },
  { title: 'BindingListing', description: 'a page of the bindings of a pool, in no particular order' },
);

export const BINDINGS_QUERY = query({
  pool: Type.Optional(Type.String({ description: 'the name of a pool; needed if there are several' })),
  instance: Type.Optional(INSTANCE),
  cursor: CURSOR,
  limit: limit(10_000),
});

// Every word once; one that is missing here is an error.
const CAUSES: Readonly<Record<AgentCause['kind'], true>> = {
  claimed: true,
  grouped: true,
  joined: true,
  rebound: true,
  moved: true,
  'placed-alone': true,
  'written-back': true,
  active: true,
  unknown: true,
};
const IDENTITIES: Readonly<Record<AgentIdentity, true>> = { asserted: true, found: true, address: true };
const KINDS: Readonly<Record<NameKind, true>> = { user: true, session: true, address: true };

function oneOf<Word extends string>(words: Readonly<Record<Word, true>>, description: string) {
  return word(Object.keys(words) as [Word, ...Word[]], { description });
}

const KIND = oneOf(KINDS, 'what the name is: user, session or address');
const VALUE = Type.String({
  description: 'a user name in its stored form, the hash of a session, or an address',
});
const IDENTITY = oneOf(
  IDENTITIES,
  'how the names were learnt: SAP asserts them, they were only found in a body, or the client address is the name',
);
const BOUND_SINCE = timeOrNull(
  'since when the agent is on the instance; null if a gateway of an earlier release bound the agent',
);
const GENERATION = count('grows by one with every move');

const GROUP = nullable(
  Type.String(),
  'the group of the user by the file or the patterns of `groups`, as they are now; null without one',
);

const AGENT_LINE = Type.Object(
  {
    name: VALUE,
    kind: KIND,
    instance: Type.String(),
    incarnation: INCARNATION,
    generation: GENERATION,
    identity: IDENTITY,
    group: GROUP,
    boundSince: BOUND_SINCE,
    lastActive: LAST_ACTIVE,
    loggedOff: LOGGED_OFF,
    expiresInSeconds: EXPIRES,
  },
  { title: 'AgentLine', description: 'one agent' },
);

export const AGENTS = Type.Object(
  { agents: Type.Array(AGENT_LINE), lastActiveWithinSeconds: WITHIN, next: NEXT },
  { title: 'AgentPage', description: 'a page of the bound agents of a pool, in no particular order' },
);

export const AGENTS_QUERY = query({
  prefix: Type.Optional(text(256, 'the begin of the name')),
  instance: Type.Optional(INSTANCE),
  group: Type.Optional(
    text(
      256,
      'only agents of this group, by the file or the patterns of groups; a page may have fewer than limit',
    ),
  ),
  idleSince: Type.Optional(
    text(40, `${MOMENT_EXPECTS}: only agents whose last request is at least that old`),
  ),
  limit: limit(1_000),
  cursor: CURSOR,
});

const CAUSE = Type.Object(
  {
    kind: oneOf(
      CAUSES,
      'claimed: placed by the balancer; grouped: placed where its group was; joined: took over the place of its session; rebound: its instance had lost it; moved: by an operator; placed-alone: while the store was away; written-back: after the store had lost the binding; active: all agents of a failover pool are at the active instance; unknown: a gateway of an earlier release bound it',
    ),
    gateway: nullable(Type.String(), 'the gateway that did it, shortened in the middle if its name is long'),
    balancer: nullable(Type.String(), 'the balancer that chose the instance'),
    epoch: nullable(Type.Integer(), 'the number of the view in which it was done'),
    by: nullable(Type.String(), 'the operator'),
    why: nullable(
      Type.String(),
      'the reason that the operator gave, or how the instance before lost the agent',
    ),
  },
  { title: 'AgentCause', description: 'why the agent is on the instance' },
);

export const AGENT = Type.Object(
  {
    pool: Type.String(),
    mode: word(['failover', 'sticky']),
    name: VALUE,
    kind: KIND,
    instance: Type.String({ description: 'where the agent is' }),
    incarnation: INCARNATION,
    current: Type.Boolean({
      description: 'false if the instance has lost the agent, so that the next request moves it',
    }),
    generation: nullable(GENERATION, 'null if the pool binds no agents'),
    identity: nullable(IDENTITY, 'null if the pool binds no agents'),
    group: GROUP,
    boundSince: BOUND_SINCE,
    cause: CAUSE,
    sentence: Type.String({ description: 'where the agent is, since when and why, for people' }),
    aliases: Type.Array(Type.Object({ kind: KIND, name: VALUE }), {
      description: 'its other names, at most 100',
    }),
    lastActive: nullable(LAST_ACTIVE, 'null if the pool binds no agents'),
    lastActiveWithinSeconds: WITHIN,
    loggedOff: LOGGED_OFF,
    expiresInSeconds: nullable(EXPIRES, 'null if the pool binds no agents'),
    moving: nullable(
      Type.Object({
        to: Type.String({ description: 'the instance to which an operator moves the agent now' }),
      }),
      'null unless an operator is moving the agent',
    ),
  },
  { title: 'AgentStatus', description: 'where one agent is, since when, and why' },
);

export const AGENT_NAME_EXPECTS = 'a user name, a session, the hash of a session, or a client address';

export const AGENT_PARAMS = Type.Object({
  pool: Type.String({ description: 'the name of a pool' }),
  name: Type.String({ description: AGENT_NAME_EXPECTS }),
});

export const AGENT_QUERY = query({ kind: Type.Optional(KIND) });

const DRAINING_AGENT = Type.Object({
  name: NAME,
  lastActive: LAST_ACTIVE,
  loggedOff: LOGGED_OFF,
  expiresInSeconds: EXPIRES,
});

export const DRAIN = Type.Object(
  {
    instance: Type.String(),
    admin: word(['enabled', 'draining', 'disabled']),
    deadline: timeOrNull('when the drain ends at the latest; null without a deadline'),
    remaining: count('agents that are still bound to the instance, as counted once a second'),
    loggedOff: nullable(
      Type.Integer({ minimum: 0 }),
      'how many of them have logged off; null if there are too many to look at each',
    ),
    lastEnd: timeOrNull(
      'when the last of their bindings ends, if none of them sends a request; null if there is none, or too many',
    ),
    agents: Type.Array(DRAINING_AGENT),
    lastActiveWithinSeconds: WITHIN,
    next: NEXT,
  },
  { title: 'Drain', description: 'a page of the agents that are still bound to an instance' },
);

export const PAGE_QUERY = query({ limit: limit(1_000), cursor: CURSOR });

/** One of the two names an agent. */
export const AGENT_NAMES = {
  agent: Type.Optional(text(256, 'a user name')),
  session: Type.Optional(text(1_000, 'a session')),
};

export const MOVE = { instance: INSTANCE, ...AGENT_NAMES };

const SHOWN_NAME = Type.String({ description: 'the agent, as the log shows names' });

export const MOVED = Type.Object(
  {
    agent: SHOWN_NAME,
    instance: Type.String({ description: 'where the agent is bound now' }),
    incarnation: INCARNATION,
    generation: count('grows by one with every move'),
  },
  { title: 'Moved', description: 'the agent is bound to the other instance' },
);

export const FORGOTTEN = Type.Object(
  {
    agent: SHOWN_NAME,
    instance: Type.String({ description: 'where the agent was bound' }),
    forgotten: Type.Literal(true),
  },
  { title: 'Forgotten', description: 'the binding has ended' },
);
