import Type from 'typebox';
import { count, duration, path, reload, restart, section, text, written } from './option.ts';
import { clientTls } from './schema-pool.ts';

function nodes(description: string) {
  return Type.Array(written('address', 'Host and port.'), { minItems: 1, uniqueItems: true, description });
}

export const redis = section(
  'The Redis, or one that speaks its protocol, that gateways share: one server (`url`), the master that Sentinels name (`sentinels`), or a Redis Cluster (`cluster`).',
  {
    url: restart(
      'redisUrl',
      Type.Optional(
        written(
          'redisUrl',
          'redis://host[:port][/database], or rediss:// for TLS. Keep passwords out of it: use `passwordFile`.',
          { secret: true },
        ),
      ),
    ),
    sentinels: restart(
      'sentinels',
      Type.Optional(
        nodes(
          'Sentinels, each host:port. They are asked for the master at every connection, and heard when they promote another.',
        ),
      ),
    ),
    masterName: restart(
      'redis',
      Type.Optional(text('What the Sentinels call the master (`sentinel monitor <name>`).')),
    ),
    sentinelUsername: reload(Type.Optional(text('User of the Sentinels. Default: the default user.'))),
    sentinelPasswordFile: reload(
      Type.Optional(path("File that holds the Sentinels' password; white space around it is dropped.")),
    ),
    cluster: restart(
      'cluster',
      Type.Optional(
        nodes(
          'Some nodes of a Redis Cluster, each host:port; the others are learnt from them. All keys of a pool are kept in one slot.',
        ),
      ),
    ),
    username: reload(Type.Optional(text('User of the Redis ACL. Default: the default user.'))),
    passwordFile: reload(
      Type.Optional(path('File that holds the password; white space around it is dropped.')),
    ),
    confirmedBy: reload(
      count(
        'How many replicas of Redis must have what gateways agree on before it counts. 0 trusts the master alone: one that is cut off from its replicas together with some gateways goes on granting them leases until it is demoted or they reach the new one. With 1 or more it cannot, and while too few replicas are connected the store counts as away.',
        0,
        5,
        0,
      ),
    ),
    commandTimeout: reload(
      duration(
        'Time for one command. After that the gateway doubts the store, and asks it again; the store counts as away once it has been silent for 0.6 of `coordination.lease`.',
        {
          default: '100ms',
          atLeast: '5ms',
          atMost: '1m',
        },
      ),
    ),
    connectTimeout: reload(duration('Time to connect.', { default: '300ms', atLeast: '10ms', atMost: '1m' })),
    tls: reload(Type.Optional(clientTls('Redis'))),
  },
);
