import Type from 'typebox';
import { choice, duration, reload, restart, section, text } from './option.ts';
import { NAME, NAME_EXPECTS } from './schema-pool.ts';

export const coordination = section(
  'How gateways agree on which instances are up, and on the active one. The same at every gateway that shares a store.',
  {
    lease: restart(
      'lease',
      duration(
        'How long a gateway may act on its copy of the view without hearing from the store; renewed every third of it. A shorter one ends sooner the wait for a gateway that died, and costs the store more.',
        { default: '3s', atLeast: '300ms', atMost: '1m' },
      ),
    ),
    quorum: reload(
      choice(
        ['majority', 'any', 'all'],
        'How many of the live gateways must find an instance down before it counts as down for all. Up takes the complement.',
        { default: 'majority' },
      ),
    ),
    replica: restart(
      'replicaName',
      Type.Optional(
        text(
          'Name of this gateway towards the others, in `/status` and in the event log, where a random suffix follows it that is new at each start. Default: the host name.',
          { pattern: NAME, expects: NAME_EXPECTS },
        ),
      ),
    ),
  },
);
