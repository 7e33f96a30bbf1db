import * as Type from 'typebox';
import { ROLES } from '../../core/role.ts';
import { limit, nullable, query, text, time, word } from './fields.ts';

const ROLE = word(ROLES, { description: 'what the sender may do' });
const closed = { additionalProperties: false };

export const SESSION = Type.Object(
  {
    user: nullable(Type.String(), 'the name of the user or token'),
    role: nullable(ROLE, 'what the sender may do'),
    kind: nullable(
      word(['user', 'token', 'loopback']),
      'loopback: a program on this host, while there are no users and no tokens',
    ),
    changes: Type.Boolean({ description: 'whether the sender may change anything' }),
    loginPossible: Type.Boolean({ description: 'whether this gateway has users' }),
  },
  { ...closed, title: 'Session', description: 'who sends the request' },
);

export const LOG_IN = Type.Object(
  {
    user: text(128, 'the name of a user, of 1 to 128 characters'),
    password: text(1_000, 'the password of the user'),
  },
  closed,
);

export const LOGGED_IN = Type.Object(
  { user: Type.String(), role: ROLE, kind: word(['user']) },
  { ...closed, title: 'LoggedIn', description: 'the answer sets the cookie of the session' },
);

export const SECURITY_LOG_QUERY = query({ limit: limit(500) });

export const SECURITY_LOG = Type.Object(
  {
    entries: Type.Array(
      Type.Object(
        {
          at: time('when'),
          kind: word(['login', 'login-refused', 'logout', 'act', 'act-refused', 'forbidden']),
          user: nullable(Type.String(), 'the user or token; null if the sender is not known'),
          role: nullable(Type.String(), 'the role of the user or token'),
          source: Type.String({ description: 'the address of the sender' }),
          act: nullable(Type.String(), 'the change, such as drain'),
          pool: nullable(Type.String(), 'the pool of the change'),
          instance: nullable(Type.String(), 'the instance of the change'),
          why: nullable(Type.String(), 'the reason of the operator, or that of the refusal'),
          outcome: Type.String({ description: 'the status of the answer' }),
        },
        { ...closed, title: 'SecurityEntry' },
      ),
    ),
  },
  { ...closed, description: 'the last log-ins, changes and refusals, newest first' },
);
