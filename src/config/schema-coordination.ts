import * as Type from 'typebox';
import { choice, duration, reload, restart, section, text } from './option.ts';
import { NAME, NAME_EXPECTS } from './schema-pool.ts';

export const coordination = section(
  'How gateways agree on which instances are up, and on the active one. The same at every gateway that shares a store.',
  {
    lease: restart(
      'lease',
      duration(
        'How long a gateway may act on its copy of the view without hearing from the store; it asks three times per lease. A shorter lease means a shorter wait for a crashed gateway, and more load on the store.',
        { default: '3s', atLeast: '300ms', atMost: '1m' },
      ),
    ),
    quorum: reload(
      choice(
        ['majority', 'any', 'all'],
        'How many of the live gateways must find an instance down before it counts as down for all. It counts as up once fewer do.',
        { default: 'majority' },
      ),
    ),
    replica: restart(
      'replicaName',
      Type.Optional(
        text(
          'Name of this gateway among the others, in `/status` and in the event log. A random suffix, new at each start, follows it. Default: the host name.',
          { pattern: NAME, expects: NAME_EXPECTS },
        ),
      ),
    ),
  },
);
