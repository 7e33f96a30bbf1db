import * as Type from 'typebox';
import { choice, path, reload, section, TOKEN, TOKEN_EXPECTS, text, written } from './option.ts';

/** Of a pool. */
export const rebalance = reload(
  choice(
    ['never', 'logon'],
    'When agents of a sticky pool move to an instance that has fewer agents for its weight, such as a new one. `logon`: an agent who has logged off (`identity.logoff`) and logs on again (`identity.logon`) some seconds later, while the binding still lasts for `identity.logoffGrace`, is placed like a new agent, if that makes the shares more even. An agent of a group stays with the group; a group without bound members is placed again. `never`: the agent stays. `ici-gateway admin rebalance` does the same for some hours. An agent who has not logged off stays, and so does one who has sent a request since, except in the rare cases that `src/decisions/0038` names.',
    { default: 'never' },
  ),
);

/** Of an instance. */
export const maxAgents = reload(
  Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'The most agents that the instance should have. New agents and groups go to instances with room for them; if none has room, to the one with most of it. Counts are up to a second old, so a few more can get there. Default: no limit.',
    }),
  ),
);

const pattern = section('Users whose names match belong to the group.', {
  users: reload(
    written(
      'pattern',
      'Regular expression that the whole user name matches. Upper and lower case are the same, as in user names.',
    ),
  ),
  group: reload(
    text('Name of the group.', {
      pattern: '^\\S(?:.{0,62}\\S)?$',
      expects: 'a name of 1 to 64 characters without white space at its ends',
    }),
  ),
});

export const groups = section(
  "Agents who share an instance, because they must see each other's presence: the first member of a group is placed by the balancer, the others where that one is. If several of the options name a group, the file comes before the patterns and these before the header.",
  {
    file: reload(
      Type.Optional(
        path(
          'Text file with one line `user;group` for each user, read again when it changes. A changed group counts the next time that the agent is placed; no agent is moved.',
        ),
      ),
    ),
    patterns: reload(
      Type.Array(pattern, {
        default: [],
        expects: 'a list of entries, each with users and group',
        description: 'Groups by the names of their users; the first pattern that matches decides.',
      }),
    ),
    header: reload(
      Type.Optional(
        text(
          'Header field that names the group of the agent. Only for clients that are trusted to set it. Without the store, a group that only the header names can be split.',
          { pattern: TOKEN, expects: TOKEN_EXPECTS },
        ),
      ),
    ),
  },
);
