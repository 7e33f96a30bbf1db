import { ActRefused } from '../core/act-refused.ts';
import type { Binding } from '../core/binding.ts';
import { consequenceOf } from '../core/consequence.ts';
import type { PoolStatus } from '../core/gateway-status.ts';
import type { AdminState, InstanceId } from '../core/instance.ts';
import { instancesIn } from '../core/view/agreed-config.ts';
import type { AgreedView } from '../core/view/agreed-view.ts';
import type { ConfigParts } from '../core/view/config-parts.ts';
import type { ReplicaReport } from '../core/view/health-report.ts';
import { materialize } from '../core/view/materialize.ts';
import type { Policy } from '../core/view/policy.ts';
import { withAdmin } from '../core/view/policy-changes.ts';
import type { ViewCauses } from '../core/view/supposed-view.ts';
import { rulesOf, supposedView } from '../core/view/supposed-view.ts';
import type { View } from '../core/view/view.ts';
import { unknownParts, wrongPart } from '../core/view/wrong-part.ts';
import type { Moves, WhatIf, WhatIfChange } from '../core/what-if.ts';
import { movesBetween } from '../core/what-if.ts';
import { instanceOf } from './pool-acts.ts';
import type { PoolSource } from './pool-source.ts';
import { poolStatus } from './status.ts';

export interface WhatIfQuestion {
  readonly change: WhatIfChange;
  readonly instance?: InstanceId | undefined;
  readonly weight?: number | undefined;
  /** The name of a gateway among its peers. */
  readonly gateway?: string | undefined;
  /** The pool's parts of another configuration. */
  readonly parts?: ConfigParts | undefined;
  /** The most names to tell. */
  readonly names: number;
}

// Enough for every site that is known, and a few seconds of reading.
const MOST_BINDINGS = 200_000;
const PAGE = 1_000;
// The process has leases to renew meanwhile.
const AT_A_STRETCH_MS = 10;

/**
 * What a change would do to the agents who are bound now. The next view is computed by the rules that make views, and
 * each binding is weighed and placed by those of requests. Nothing is changed.
 *
 * @throws ActRefused if the question cannot be answered
 * @throws StoreUnavailable
 */
export async function whatIf(pool: PoolSource, question: WhatIfQuestion): Promise<WhatIf> {
  const { operations } = pool;
  const { agreed } = operations;
  if (agreed.epoch === 0)
    throw new ActRefused(409, `pool ${pool.name} has no view yet: its gateways are starting`);
  const wrong = question.parts && wrongPart(question.parts);
  if (wrong !== undefined) throw new ActRefused(400, wrong);
  const { bindings, isComplete } = await readBindings(pool);
  const counts = countsOf(bindings);
  const causes: ViewCauses = {
    agreed,
    reports: operations.lastSync.reports,
    policy: operations.lastSync.policy,
    parts: operations.parts,
    now: operations.storeNow,
    // Newer than the counts that are taken once a second.
    boundAgents: (id) => (isComplete ? (counts.get(id) ?? 0) : pool.boundAgents(id)),
  };
  const changed = changedBy(pool, question, causes);
  const before = shown(pool, causes, agreed);
  const after = shown(pool, changed, supposedView(changed));
  const { unreachable } = operations.routingState;
  const candidates = after.assignable.filter(({ id }) => !unreachable.has(id));
  const placing = placingOf(pool);
  const moves = await movesBetween(before, after, candidates, bindings, placing, question.names, breathing());
  const isFailedOver = pool.mode === 'failover' && before.active !== '' && before.active !== after.active;
  const isRefused = question.change === 'store-goes' && pool.onStoreLoss === 'refuse';
  return {
    pool: pool.name,
    view: agreed.id,
    text: textOf(pool, question, counts, moves, after),
    agents: isFailedOver ? null : moves.moving,
    stranded: isRefused ? bindings.length : moves.stranded,
    bound: bindings.length,
    isComplete,
    isExact: moves.isExact,
    active: { before: activeIn(pool, before), after: activeIn(pool, after) },
    instances: moves.instances,
    moves: moves.moves,
    names: moves.names,
    notes: notesOf(pool, question, moves, isComplete),
  };
}

async function readBindings(
  pool: PoolSource,
): Promise<{ readonly bindings: readonly Binding[]; readonly isComplete: boolean }> {
  const bindings: Binding[] = [];
  let cursor: string | undefined;
  do {
    const page = await pool.bindings.list({ limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
    bindings.push(...page.bindings.map(({ binding }) => binding));
    cursor = page.cursor;
  } while (cursor !== undefined && bindings.length < MOST_BINDINGS);
  return { bindings, isComplete: cursor === undefined };
}

function countsOf(bindings: readonly Binding[]): ReadonlyMap<InstanceId, number> {
  const counts = new Map<InstanceId, number>();
  for (const { instance } of bindings) counts.set(instance, (counts.get(instance) ?? 0) + 1);
  return counts;
}

/** The causes of views after the change. */
function changedBy(pool: PoolSource, question: WhatIfQuestion, causes: ViewCauses): ViewCauses {
  const { change } = question;
  switch (change) {
    case 'instance-dies':
      return { ...causes, reports: verdict(causes.reports, [known(pool, question.instance)], 'down') };
    case 'enable':
      return withState(causes, known(pool, question.instance), 'enabled');
    case 'disable':
      return withState(causes, known(pool, question.instance), 'disabled');
    case 'drain':
      return withState(causes, known(pool, question.instance), 'draining');
    case 'weight': {
      const { weight } = question;
      if (weight === undefined) throw new ActRefused(400, 'weight is missing');
      return withConfig(causes, { [`weight:${known(pool, question.instance)}`]: weight });
    }
    case 'gateway-goes':
      return { ...causes, reports: without(causes.reports, question.gateway) };
    case 'store-goes':
      return causes;
    case 'config': {
      if (question.parts === undefined) throw new ActRefused(400, 'parts is missing');
      const parts = { ...causes.parts, ...causes.agreed.config, ...question.parts };
      const added = newIn(pool, parts);
      const reports = verdict(causes.reports, added, 'up');
      return { ...causes, reports, agreed: { ...causes.agreed, config: parts }, parts };
    }
  }
}

/** Lets the event loop turn now and then. */
function breathing(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < AT_A_STRETCH_MS) return undefined;
    return new Promise((resolve) =>
      setImmediate(() => {
        since = performance.now();
        resolve();
      }),
    );
  };
}

function known(pool: PoolSource, id: InstanceId | undefined): InstanceId {
  if (id === undefined) throw new ActRefused(400, 'instance is missing');
  instanceOf(pool, id);
  return id;
}

/** The instances that another configuration adds. */
function newIn({ operations }: PoolSource, parts: ConfigParts): readonly InstanceId[] {
  const present = operations.agreed.instances;
  return instancesIn(parts).filter((id) => present[id] === undefined);
}

/** All gateways find the instances up, or down. */
function verdict(
  reports: readonly ReplicaReport[],
  ids: readonly InstanceId[],
  health: 'up' | 'down',
): readonly ReplicaReport[] {
  const verdicts = Object.fromEntries(ids.map((id) => [id, { health, incarnation: '', emptyAt: 0 }]));
  return reports.map(({ report, ...one }) => ({
    ...one,
    report: report && { ...report, verdicts: { ...report.verdicts, ...verdicts } },
  }));
}

function withState(causes: ViewCauses, id: InstanceId, state: AdminState): ViewCauses {
  const act = { id: 'what-if', state, by: '', at: causes.now, why: '', deadline: 0 };
  const policy: Policy = withAdmin(causes.policy, id, act);
  return { ...causes, policy };
}

function withConfig(causes: ViewCauses, parts: ConfigParts): ViewCauses {
  const { agreed } = causes;
  const config = { ...causes.parts, ...agreed.config, ...parts };
  return { ...causes, agreed: { ...agreed, config }, parts: config };
}

function without(reports: readonly ReplicaReport[], gateway: string | undefined): readonly ReplicaReport[] {
  if (gateway === undefined) throw new ActRefused(400, 'gateway is missing');
  const left = reports.filter(({ replica }) => replica !== gateway);
  if (left.length < reports.length) return left;
  const names = reports.map(({ replica }) => replica).join(', ');
  throw new ActRefused(404, `no live gateway is named ${gateway}; there is ${names}`);
}

function shown(pool: PoolSource, causes: ViewCauses, agreed: AgreedView): View {
  return materialize(agreed, { pool: pool.name, rules: rulesOf({ ...causes, agreed }), parts: causes.parts });
}

function placingOf(pool: PoolSource) {
  const { balancer, maxAgents } = pool;
  return {
    balancer,
    maxAgents,
    load: {
      boundAgents: (id: InstanceId) => pool.boundAgents(id),
      inFlight: (id: InstanceId) => pool.inFlight(id),
    },
    groupOf: ({ root }: Binding) => (root.kind === 'user' ? pool.groupOf(root.value) : undefined),
  };
}

function activeIn({ mode }: PoolSource, { active }: View): InstanceId | null {
  return mode === 'sticky' || active === '' ? null : active;
}

function textOf(
  pool: PoolSource,
  question: WhatIfQuestion,
  counts: ReadonlyMap<InstanceId, number>,
  { moving, moves }: Moves,
  after: View,
): string {
  const { change, instance = '' } = question;
  if (change === 'enable' || change === 'disable' || change === 'drain')
    return consequenceOf(change, withCounts(poolStatus(pool, undefined), counts), instance).text;
  if (change === 'store-goes') return STORE_GOES[pool.onStoreLoss];
  const isOver = pool.mode === 'failover' && pool.operations.agreed.active !== after.active;
  if (isOver) return `all agents of the pool must log on again: ${after.active} becomes active`;
  if (pool.mode === 'failover' && instance === after.active && change === 'instance-dies')
    return 'no other instance can take over: no agent of the pool can work until one can';
  if (moving === 0) return 'no bound agent moves';
  const places = moves.map(({ to, agents }) =>
    to === null ? `${agents} can work nowhere` : `${agents} go to ${to}`,
  );
  return `${moving === 1 ? '1 agent' : `${moving} agents`} must log on again: ${places.join(', ')}`;
}

function withCounts(status: PoolStatus, counts: ReadonlyMap<InstanceId, number>): PoolStatus {
  const instances = status.instances.map((one) => ({ ...one, boundAgents: counts.get(one.id) ?? 0 }));
  return { ...status, instances };
}

const STORE_GOES = {
  continue:
    'known agents stay where they are; new ones go where every gateway would place them, and an agent who comes to two gateways could be split',
  refuse:
    'no agent of the pool can work after the end of the lease, until the store is back: affinity.onStoreLoss is refuse',
};

function notesOf(
  pool: PoolSource,
  { change, gateway, parts = {} }: WhatIfQuestion,
  { alreadyLost }: Moves,
  isComplete: boolean,
): string[] {
  const notes: string[] = [];
  const { replicas, reports } = pool.operations.lastSync;
  if (change === 'gateway-goes') {
    const others = reports.filter(({ replica }) => replica !== gateway).length;
    notes.push(
      others === 0
        ? 'it is the only gateway: no agent can work until it is back'
        : `${others === 1 ? 'one other gateway serves' : `${others} other gateways serve`} the pool; requests under way at ${gateway} are lost, and new connections must reach the others`,
    );
  }
  if (change === 'store-goes')
    notes.push(
      `the workers of this gateway have cached ${pool.bindings.cached} bindings; ${replicas} gateways use the store`,
    );
  if (change === 'config') {
    for (const id of newIn(pool, parts)) notes.push(`${id} is new and counts as up`);
    const unknown = unknownParts(parts);
    if (unknown.length > 0)
      notes.push(`parts that this gateway does not know change nothing here: ${unknown.join(', ')}`);
  }
  if (change === 'drain')
    notes.push('agents who have logged off and log on again leave the instance, if identity.logon is set');
  if (alreadyLost > 0)
    notes.push(`${alreadyLost} agents have lost their instance already and move with their next request`);
  if (!isComplete) notes.push(`only ${MOST_BINDINGS} bindings were looked at`);
  return notes;
}
