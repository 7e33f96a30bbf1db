import * as Type from 'typebox';
import { ROLES } from '../core/role.ts';
import { choice, duration, path, reload, section, text, written } from './option.ts';
import { NAME, NAME_EXPECTS } from './schema-pool.ts';
import { tlsProtocol } from './schema-tls.ts';

const token = section('A token of a program.', {
  name: reload(
    text('Name of the program, as the event log and the security log show it.', {
      pattern: NAME,
      expects: NAME_EXPECTS,
    }),
  ),
  role: reload(
    choice(
      ROLES,
      'What the program may do: `viewer` reads, `operator` also changes instances and agents, `admin` everything.',
      {},
    ),
  ),
  file: reload(
    path(
      'File with the token, sent as `Authorization: Bearer`: 16 or more letters, digits and `-._~+/`. White space around it is ignored. Read again when it changes.',
    ),
  ),
});

export const admin = section('Where operators and monitoring connect.', {
  address: reload(
    written(
      'address',
      'Host and port of the admin plane: metrics, probes, status, operation. Port 0 takes any free one. Without users and tokens it answers other hosts only probes and metrics.',
      { default: '127.0.0.1:9090' },
    ),
  ),
  tls: reload(
    Type.Optional(
      section(
        'TLS towards operators and monitoring. Without it the admin plane speaks plain HTTP, and passwords and tokens cross the network unencrypted.',
        {
          certFile: reload(
            path('PEM file with the certificate of the admin plane, followed by its intermediates.'),
          ),
          keyFile: reload(
            path('PEM file with the private key of `certFile`, readable by the gateway alone.'),
          ),
          ...tlsProtocol,
        },
      ),
    ),
  ),
  passwordFile: reload(
    Type.Optional(
      path(
        'File of users who may log in: lines `user:role:$scrypt$…`, made by `ici-gateway hash-password USER --role ROLE`. Read again when it changes. Once users or tokens are configured, every read needs one too.',
      ),
    ),
  ),
  tokens: reload(
    Type.Array(token, {
      default: [],
      expects: 'a list of tokens, each with a name, a role and a file',
      description: 'Tokens of programs, each with a name of its own.',
    }),
  ),
  tokenFile: reload(
    Type.Optional(
      path(
        'File with a token that everyone who operates the gateway shares, with the role `admin` and the name `admin`; otherwise as `tokens[].file`.',
      ),
    ),
  ),
  hosts: reload(
    Type.Array(written('host', 'A host name without port.'), {
      default: [],
      uniqueItems: true,
      description:
        'Names under which browsers and programs may call the admin plane, beside addresses, `localhost`, the name of this host and that in `advertise`. Other names are refused, because a page of another site could send its requests to this port under its own name (DNS rebinding).',
    }),
  ),
  advertise: reload(
    Type.Optional(
      written(
        'adminUrl',
        'Where operators reach the admin plane of this gateway, as other gateways show it. Default: made of the host name and `address`, unless that is a loopback address.',
      ),
    ),
  ),
  metrics: reload(
    choice(
      ['open', 'viewer'],
      '`open`: `/metrics` is answered to everyone who can connect. `viewer`: it needs a user or a token with that role.',
      { default: 'open' },
    ),
  ),
  keepActs: reload(
    duration(
      'How long the event log keeps what operators did: at most the last 50,000 acts of each pool in Redis, 5,000 in the embedded store. The last 1,000 changes of views are kept beside them, whatever their age.',
      { default: '400d', atLeast: '1d', atMost: '3650d' },
    ),
  ),
  sessionIdle: reload(
    duration('How long a log-in in a browser lasts without an action of its user.', {
      default: '30m',
      atLeast: '1s',
    }),
  ),
  sessionLifetime: reload(
    duration('How long a log-in in a browser lasts at most.', { default: '12h', atLeast: '1s' }),
  ),
});
