import * as Type from 'typebox';
import { COMMAND_MS } from '../core/command-time.ts';
import { count, duration, path, reload, restart, section, text, written } from './option.ts';
import { clientTls } from './schema-pool.ts';

function nodes(description: string) {
  return Type.Array(written('address', 'Host and port.'), { minItems: 1, uniqueItems: true, description });
}

export const redis = section(
  'The Redis, or a server with its protocol, that gateways share: one server (`url`), the master that Sentinels report (`sentinels`), or a Redis Cluster (`cluster`).',
  {
    url: restart(
      'redisUrl',
      Type.Optional(
        written(
          'redisUrl',
          'redis://host[:port][/database], or rediss:// for TLS. Keep passwords out of it: use `passwordFile`.',
          { secret: 'url' },
        ),
      ),
    ),
    sentinels: restart(
      'sentinels',
      Type.Optional(
        nodes(
          'Sentinels, each host:port. The gateway asks them for the master at every connection, and follows when they promote another.',
        ),
      ),
    ),
    masterName: restart(
      'redis',
      Type.Optional(text('Name of the master at the Sentinels (`sentinel monitor <name>`).')),
    ),
    sentinelUsername: reload(Type.Optional(text('User of the Sentinels. Default: the default user.'))),
    sentinelPasswordFile: reload(
      Type.Optional(path('File with the password of the Sentinels; white space around it is ignored.')),
    ),
    cluster: restart(
      'cluster',
      Type.Optional(
        nodes(
          'Some nodes of a Redis Cluster, each host:port; the gateway learns the others from them. All keys of a pool are in one slot.',
        ),
      ),
    ),
    username: reload(Type.Optional(text('User of the Redis ACL. Default: the default user.'))),
    passwordFile: reload(Type.Optional(path('File with the password; white space around it is ignored.'))),
    confirmedBy: reload(
      count(
        'How many replicas of Redis must confirm what gateways agree on before it counts. With 0 the master alone decides: if it is cut off from its replicas together with some gateways, it continues to grant them leases until it is demoted or they reach the new master. With 1 or more it cannot, and the store counts as away while too few replicas are connected.',
        0,
        5,
        0,
      ),
    ),
    commandTimeout: reload(
      duration(
        'Time for one command. After a time-out the gateway asks the store again; the store counts as away once it has not answered for 0.6 of `coordination.lease`. At most a third of that; where agents move as they log on again (`rebalance`), the other gateways rely on it.',
        {
          default: `${COMMAND_MS}ms`,
          atLeast: '5ms',
          atMost: '1m',
        },
      ),
    ),
    connectTimeout: reload(duration('Time to connect.', { default: '300ms', atLeast: '10ms', atMost: '1m' })),
    tls: reload(Type.Optional(clientTls('Redis'))),
  },
);
