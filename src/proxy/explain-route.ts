import type { Binding } from '../core/binding.ts';
import type { Ruling } from '../core/evidence.ts';
import type { StoreNote } from '../core/explainable-bindings.ts';
import type { ExplainStep } from '../core/explanation.ts';
import type { Holding } from '../core/holdings.ts';
import type { Name } from '../core/identity.ts';
import { namesOf } from '../core/identity.ts';
import type { InstanceId, InstanceState } from '../core/instance.ts';
import { LOSSES } from '../core/origin-sentence.ts';
import { nextRoute } from '../core/relay.ts';
import { storedForm } from '../core/stored-name.ts';
import { checkTarget, isCurrent, lossOf, movesTo } from '../core/target.ts';
import { NOWHERE } from '../core/view/agreed-view.ts';
import type { Mode, RoutingState } from '../core/view/routing-state.ts';
import type { Found } from './explained-request.ts';
import { groupOf } from './placing.ts';
import type { Pool } from './pool.ts';

/** How the target was found, once the names are known. */
export function routeSteps(pool: Pool, found: Found): ExplainStep[] {
  const { routingState } = pool;
  const { view } = routingState;
  const steps = [viewStep(routingState), leaseStep(routingState)];
  // Nothing else is looked at.
  if (view.fit === 'differs' || !view.settled) return steps;
  const { request, bindings } = found;
  const names = namesOf(request);
  if (!pool.bindsAgents || names.length === 0) return [...steps, ...unboundSteps(pool, found, names.length)];
  steps.push(cacheStep(pool, found));
  for (const note of bindings.notes) steps.push(...noteSteps(pool, note));
  const binding = bindingOf(found);
  if (binding !== undefined) steps.push(...moveSteps(pool, binding));
  const isPlaced = bindings.notes.some((note) => note.kind === 'move' || ('made' in note && note.made));
  if (isPlaced || 'wait' in found.target) steps.push(...placeSteps(pool, found));
  return [...steps, ...targetSteps(pool, found)];
}

function viewStep({ view, before, isBlocked }: RoutingState): ExplainStep {
  const part = 'view';
  if (view.fit === 'differs')
    return {
      part,
      applies: true,
      rule: 'this gateway has another configuration than the agreed one, so it does not serve the pool',
      found: null,
    };
  if (!view.settled)
    return {
      part,
      applies: true,
      rule: 'requests wait until each instance was probed',
      found: 'not all were',
    };
  const effect =
    isBlocked || view.fit === 'unknown'
      ? 'no view is known to be in effect'
      : before === undefined
        ? 'in effect'
        : 'not in effect yet: what the view before forbids too has to wait';
  return {
    part,
    applies: true,
    rule: 'requests are routed by the view that all gateways agree on',
    found: `epoch ${view.epoch}, ${effect}`,
  };
}

const MODES: Readonly<Record<Mode, string>> = {
  leased: 'this gateway has a lease',
  waiting: 'the lease has ended, and the view store is asked first',
  degraded: 'the store is away, and this gateway goes on with what it knows',
};

function leaseStep(routingState: RoutingState): ExplainStep {
  const mode = routingState.modeAt(performance.now(), Date.now());
  return {
    part: 'view',
    applies: true,
    rule: 'a gateway acts on the view while it has a lease',
    found: MODES[mode],
  };
}

function unboundSteps(pool: Pool, { oneOf }: Found, names: number): ExplainStep[] {
  const { mode, anonymous, routingState } = pool;
  if (mode === 'failover' && !pool.bindsAgents)
    return [
      {
        part: 'target',
        applies: true,
        rule: 'all agents of a failover pool are at its active instance',
        found: routingState.view.active || 'none is active',
      },
    ];
  const isRefused = anonymous === 'refuse' && mode === 'sticky';
  return [
    {
      part: 'evidence',
      applies: names === 0,
      rule: isRefused
        ? 'the pool refuses requests that name no agent'
        : 'requests that name no agent take turns',
      found: oneOf.length === 0 ? null : oneOf.join(', '),
    },
    ...(isRefused ? [] : instanceSteps(routingState)),
  ];
}

function cacheStep(pool: Pool, { request, bindings }: Found): ExplainStep {
  const rule = 'a worker that knows the binding asks no store';
  const entry = bindings.findFor(request);
  if (entry === undefined) return { part: 'cache', applies: false, rule, found: 'not known here' };
  const { routingState } = pool;
  const isDegraded = routingState.modeAt(performance.now(), Date.now()) === 'degraded';
  const isTrusted = bindings.isTrusted(entry, routingState, isDegraded);
  const { binding, epoch, isEnding } = entry;
  const why = isEnding
    ? 'the agent has logged off'
    : isCurrent(routingState.view, binding.instance, epoch)
      ? 'it was not confirmed lately, or may change'
      : `${binding.instance} has lost agents since`;
  return {
    part: 'cache',
    applies: isTrusted,
    rule,
    found: isTrusted ? bindingText(binding) : `${bindingText(binding)}; the store is asked, because ${why}`,
  };
}

/** What each ruling of decision 0023 says, for people. */
const RULINGS: Readonly<Record<Ruling, string>> = {
  user: 'the user decides, and the session stays as it is',
  link: 'the user decides, and the session leads to the same binding from now on',
  'link-found': 'the names lead to one binding from now on',
  take: 'the user takes over the place of its session',
  'take-found': 'the user takes over the place of its session',
  keep: 'user and session lead to the same binding',
  session: 'the session decides',
  'no-agent': 'the session belongs to several users, so it names no agent',
};

function noteSteps(pool: Pool, note: StoreNote): ExplainStep[] {
  switch (note.kind) {
    case 'claim': {
      const { holdings, by, binding, made, isFull } = note;
      const place =
        binding === undefined || isFull
          ? null
          : made
            ? `a new binding to ${binding.instance}`
            : bindingText(binding);
      return [
        ...holdingSteps(holdings),
        {
          part: 'evidence',
          applies: true,
          rule: by === 'user' && holdings.session === undefined ? 'the user decides' : RULINGS[by],
          found: place,
        },
        ...roomSteps(note),
      ];
    }
    case 'lookup':
      return [
        ...holdingSteps(note.holdings),
        {
          part: 'store',
          applies: note.binding !== undefined,
          rule: 'no instance takes new agents, so only a known binding helps',
          found: note.binding === undefined ? 'none' : bindingText(note.binding),
        },
      ];
    case 'alone':
      return [
        {
          part: 'store',
          applies: true,
          rule: 'the store is away: known agents stay, others go where all gateways would place them',
          found: note.binding === undefined ? 'not known here' : bindingText(note.binding),
        },
      ];
    case 'move': {
      const loss = lossOf(pool.routingState.view, note.from);
      return [
        {
          part: 'target',
          applies: true,
          rule: 'a binding that has lost its instance moves',
          found: `${note.from.instance} ${loss === undefined ? 'gives the agent up' : LOSSES[loss].was}, so the agent moves to ${note.binding.instance}`,
        },
      ];
    }
  }
}

/** Nothing if there is room for a new agent, or the agent is not new. */
function roomSteps({
  holdings: { room },
  made,
  isFull,
}: Extract<StoreNote, { kind: 'claim' }>): ExplainStep[] {
  if (!isFull && (!made || room === undefined || room.free > 0)) return [];
  return [
    {
      part: 'store',
      applies: isFull,
      rule: 'an agent who is not bound needs room in the store: affinity.maxBindings',
      found: isFull
        ? 'the pool has its most names, and no new name gives way'
        : 'the pool has its most names; one that came with a single request so far would give way',
    },
  ];
}

function holdingSteps({
  user,
  session,
  note,
}: Extract<StoreNote, { holdings: unknown }>['holdings']): ExplainStep[] {
  const step = (kind: string, { binding, isFound, isFoundAlias, hasLoggedOff }: Holding): ExplainStep => {
    const marks = [
      isFound || isFoundAlias ? 'only found in bodies' : undefined,
      hasLoggedOff ? 'the agent has logged off' : undefined,
    ];
    const marked = marks
      .filter((mark) => mark !== undefined)
      .map((mark) => `, ${mark}`)
      .join('');
    return {
      part: 'store',
      applies: binding !== undefined,
      rule: `what the store has for the ${kind}`,
      found: binding === undefined ? 'nothing' : `${bindingText(binding)}${marked}`,
    };
  };
  return [
    ...(user === undefined ? [] : [step('user', user)]),
    ...(session === undefined ? [] : [step('session', session)]),
    ...(note === undefined
      ? []
      : [
          {
            part: 'store' as const,
            applies: true,
            rule: 'a session that several users send names no agent',
            found:
              note === 'shared'
                ? 'it is shared'
                : 'this user had it before another one, so it is shared from now on',
          },
        ]),
  ];
}

function moveSteps({ routingState: { view } }: Pool, binding: Binding): ExplainStep[] {
  const to = movesTo(view, binding);
  if (to === undefined) return [];
  return [
    {
      part: 'move',
      applies: true,
      rule: 'an operator moves the agent, or ends the binding',
      found: to === NOWHERE ? 'the binding ends' : `to ${to}`,
    },
  ];
}

/** How the balancer chose, and among which instances. */
function placeSteps(pool: Pool, { request, oneOf }: Found): ExplainStep[] {
  const group = groupOf(pool, request);
  return [
    ...instanceSteps(pool.routingState),
    ...(pool.groups === undefined
      ? []
      : [
          {
            part: 'group' as const,
            applies: group !== undefined,
            rule: 'agents of a group are placed where its members are',
            found: group?.name ?? 'no group',
          },
        ]),
    {
      part: 'balancer',
      applies: true,
      rule: `balancer ${pool.balancerName}`,
      found: oneOf.length === 0 ? null : `chooses when the request comes: ${oneOf.join(', ')}`,
    },
  ];
}

function instanceSteps({ view, candidates, unreachable }: RoutingState): ExplainStep[] {
  return [...view.instances.values()].map((instance) => ({
    part: 'instance',
    applies: candidates.includes(instance),
    rule: `${instance.id} takes new agents`,
    found: instanceText(instance, unreachable.has(instance.id)),
  }));
}

function instanceText({ admin, health, weight, quarantined }: InstanceState, isUnreachable: boolean): string {
  return [
    health,
    admin,
    `weight ${weight}`,
    quarantined ? 'in quarantine' : undefined,
    isUnreachable ? 'not reached from here' : undefined,
  ]
    .filter((text) => text !== undefined)
    .join(', ');
}

function targetSteps({ routingState }: Pool, { target, request }: Found): ExplainStep[] {
  const steps: ExplainStep[] = [];
  if (request.sessionLost)
    steps.push({
      part: 'session',
      applies: !('instance' in target),
      rule: 'the agent is told that the session was lost: sessionLost.answer',
      found: 'instance' in target ? 'not told' : 'told with GW_SESSION_LOST',
    });
  if (!('instance' in target)) return steps;
  const verdict = checkTarget(routingState, target, performance.now(), Date.now());
  steps.push({
    part: 'target',
    applies: verdict === 'forward',
    rule: `${target.instance} may be sent the request now`,
    found: verdict === 'forward' ? `forward${wayText(routingState, target.instance)}` : verdict,
  });
  return steps;
}

function wayText(routingState: RoutingState, instance: InstanceId): string {
  if (nextRoute(routingState, instance, [], 0) === 'direct') return '';
  const peers = routingState.relays?.get(instance) ?? [];
  return `, through ${peers.length > 1 ? 'one of the peers' : 'the peer'} ${peers.join(', ')}, because the last probe from here failed`;
}

function bindingOf({ target }: Found): Binding | undefined {
  if (!('instance' in target) || target.root === undefined) return undefined;
  const { root, instance, incarnation } = target;
  return { root, instance, incarnation, generation: 0 };
}

function bindingText({ root, instance, incarnation, generation }: Binding): string {
  const run = incarnation === '' ? '' : `, incarnation ${incarnation}`;
  return `${nameText(root)} is bound to ${instance}${run}${generation === 0 ? '' : `, generation ${generation}`}`;
}

function nameText(name: Name): string {
  const { kind, value } = storedForm(name);
  return kind === 'user' ? value : `${kind} ${value}`;
}
