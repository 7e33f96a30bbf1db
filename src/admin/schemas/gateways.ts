import * as Type from 'typebox';
import { nullable, word } from './fields.ts';
import { DIFFERENCE, SHOWN_STATE } from './status.ts';

const { agreed, configured, effect, part } = DIFFERENCE.properties;

const GATEWAY_POOL = Type.Object(
  {
    pool: Type.String(),
    standing: nullable(word(['leased', 'waiting', 'storeless']), 'by which right the gateway acts'),
    leaseRemainingMs: nullable(Type.Number(), 'the rest of its lease; null without peers'),
    abstains: nullable(Type.Boolean(), 'whether it withholds its health report; null if it sends none'),
    down: Type.Array(Type.String(), { description: 'the instances that it reports as down' }),
    cutOff: nullable(Type.Array(Type.String()), 'the instances that only this gateway cannot reach'),
    differences: Type.Array(Type.Object({ part, effect, agreed, configured }), {
      description: 'the parts in which its configuration differs from the agreed one',
    }),
  },
  { title: 'GatewayPool', description: "one gateway's part in a pool" },
);

const GATEWAY = Type.Object(
  {
    replica: Type.String({ description: 'the name of the gateway among its peers' }),
    self: Type.Boolean({ description: 'the gateway that answers' }),
    version: nullable(Type.String(), 'of the program'),
    state: nullable(
      SHOWN_STATE,
      'the state that balancers see; of a silent gateway the last one that it told',
    ),
    workers: nullable(Type.Integer(), 'configured workers; 0 for a gateway of a single process'),
    startedAt: nullable(Type.String({ format: 'date-time' }), 'when the gateway started'),
    admin: nullable(Type.String(), 'the URL of its admin port for other hosts'),
    relayAt: nullable(
      Type.String(),
      'host and port at which it takes requests of peers; null if it takes none, or abstains',
    ),
    seenSecondsAgo: nullable(Type.Integer(), 'the age of this entry; null if the gateway writes none'),
    silent: Type.Boolean({
      description: 'it has told nothing for 6 s or longer, so its state and leases are not known now',
    }),
    pools: Type.Array(GATEWAY_POOL),
  },
  {
    title: 'Gateway',
    description: 'a gateway of the store; fields that an earlier release does not tell are null',
  },
);

export const GATEWAYS = Type.Object(
  {
    gateways: Type.Array(GATEWAY),
    partial: Type.Boolean({ description: 'the store is away, so only the gateway that answers is listed' }),
    reason: nullable(Type.String(), 'why the list is partial; null if it is whole'),
  },
  { title: 'GatewayListing', description: 'the gateways that share the store' },
);
