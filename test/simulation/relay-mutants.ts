import type { FailureKind } from '../../src/core/failure.ts';
import { FAILURES } from '../../src/core/failure.ts';
import { judgeRelayed } from '../../src/core/relay.ts';
import { checkTarget } from '../../src/core/target.ts';
import type { RoutingState } from '../../src/core/view/routing-state.ts';
import { outcomeFromField } from '../../src/proxy/relay-message.ts';
import type { RelayRules, Rules } from './rules.ts';
import { RULES } from './rules.ts';

type Judge = RelayRules['judgeRelayed'];

/** The routing state with other fields. */
function but(routingState: RoutingState, changed: Partial<RoutingState>): RoutingState {
  const { view, before, isBlocked, unreachable, cutOff, failing, relays, unconfigured } = routingState;
  const read = { view, before, isBlocked, unreachable, cutOff, failing, relays, unconfigured };
  const modeAt = (mono: number, wall: number) => routingState.modeAt(mono, wall);
  return { ...read, modeAt, ...changed } as RoutingState;
}

const withoutLease: Judge = (routingState, order, mono, wall) =>
  judgeRelayed(but(routingState, { modeAt: () => 'leased' }), order, mono, wall);

const inDegradedMode: Judge = (routingState, order, mono, wall) =>
  judgeRelayed(routingState, order, mono, wall) ||
  (routingState.modeAt(mono, wall) === 'degraded' &&
    checkTarget(routingState, order.target, mono, wall) === 'forward');

const byAnyView: Judge = (routingState, { target }, mono, wall) =>
  judgeRelayed(routingState, { target, viewEpoch: 0 }, mono, wall);

const whateverItsProbesSay: Judge = (routingState, order, mono, wall) =>
  judgeRelayed(but(routingState, { failing: new Set(), unreachable: new Set() }), order, mono, wall);

const byViewAlone: Judge = (routingState, { viewEpoch }, mono, wall) =>
  routingState.modeAt(mono, wall) === 'leased' && routingState.view.epoch >= viewEpoch;

function relaying(changed: Partial<RelayRules>): Rules {
  return { ...RULES, relaying: { ...RULES.relaying, ...changed } };
}

/** Planted bugs in handing requests to peers and taking them, by name. The simulation has to find each. */
export const RELAY_MUTANTS: Readonly<Record<string, Rules>> = {
  'take a request of a peer without a lease': relaying({ judgeRelayed: withoutLease }),
  'take a request of a peer in degraded mode': relaying({ judgeRelayed: inDegradedMode }),
  'take a request of a peer for an instance that lost the agent': relaying({ judgeRelayed: byViewAlone }),
  'judge a request of a peer only when it arrives': relaying({ judgesOnlyAtArrival: true }),
  'give up nothing that it has sent for a peer': relaying({ keepsRelayed: true }),
  'send a request again that a silent peer has got': relaying({ retriesSent: true }),
  'send a request again because a peer names a failure that allows it': relaying({
    outcomeFromField: (field) =>
      typeof field === 'string' && Object.hasOwn(FAILURES, field)
        ? (field as FailureKind)
        : outcomeFromField(field),
  }),
  'hand on a request of a peer': relaying({ handsOn: true }),
};

/**
 * Planted bugs that break none of the promises that are checked here; `test/unit/core/relay.test.ts` finds them, see
 * `test/mutants/relay-mutants.ts`.
 */
export const SAFE_MUTANTS: Readonly<Record<string, Rules>> = {
  'take a request of a peer by an older view': relaying({ judgeRelayed: byAnyView }),
  'take a request of a peer although its own probes fail': relaying({ judgeRelayed: whateverItsProbesSay }),
};
