import Type from 'typebox';
import { path, reload, section, written } from './option.ts';

export const peers = section(
  'Where gateways that share a store take requests from each other. A gateway that cannot connect to an instance hands the request to a peer that reports the instance as up. Only requests of which nothing was sent, with bodies of up to `limits.identityBytes`. Without this section no request is relayed.',
  {
    address: reload(
      written(
        'address',
        'Host and port for the peers. The port belongs to this gateway alone: neither clients nor balancers connect to it.',
        {},
      ),
    ),
    advertise: reload(
      Type.Optional(
        written(
          'address',
          'Host and port at which peers reach `address`, if that differs: with `0.0.0.0`, a port mapping or port 0.',
        ),
      ),
    ),
    keyFile: reload(
      path(
        'File with a secret of 32 or more characters, the same at all gateways, with which they prove to each other who they are (TLS with a pre-shared key). `openssl rand -hex 32` makes one.',
      ),
    ),
  },
);
