import { ActRefused } from '../core/act-refused.ts';
import type { AgentCause, AgentLine, AgentPage, AgentStatus } from '../core/agent-status.ts';
import type { Name } from '../core/identity.ts';
import type { Activation } from '../core/origin-sentence.ts';
import { activationOf, explainActive, explainBinding, LOSSES } from '../core/origin-sentence.ts';
import type { BindingPage, BindingQuery, ListedBinding } from '../core/ports.ts';
import { lossOf } from '../core/target.ts';
import { NOWHERE } from '../core/view/agreed-view.ts';
import { lastActiveOf, lastActiveWithinSeconds } from './listing.ts';
import type { PoolSource } from './pool-source.ts';
import { iso } from './status.ts';

// A failover pool has few events, and an older one says nothing about the present active instance.
const EVENTS_READ = 500;
const MEMBERS_LISTED = 100;
const MOST_PARTS = 50;
const NO_DETAILS = { gateway: null, balancer: null, epoch: null, by: null, why: null };

/**
 * @param group only agents of this group
 * @throws StoreUnavailable
 */
export async function agentPage(pool: PoolSource, query: BindingQuery, group?: string): Promise<AgentPage> {
  const { bindings, cursor } = await (group === undefined
    ? pool.bindings.list({ ...query, details: true })
    : membersPage(pool, query, group));
  return {
    agents: bindings.map((listed) => agentLine(pool, listed)),
    lastActiveWithinSeconds: lastActiveWithinSeconds(pool, bindings),
    next: cursor ?? null,
  };
}

/**
 * The store does not know groups. So each part that is read is as small as what is missing, and the page ends where its
 * last member is, or after some parts.
 */
async function membersPage(pool: PoolSource, query: BindingQuery, group: string): Promise<BindingPage> {
  const bindings: ListedBinding[] = [];
  const limit = query.limit ?? MEMBERS_LISTED;
  let { cursor } = query;
  for (let part = 0; part < MOST_PARTS && bindings.length < limit; part += 1) {
    const from = cursor === undefined ? {} : { cursor };
    const page = await pool.bindings.list({
      ...query,
      ...from,
      limit: limit - bindings.length,
      details: true,
    });
    for (const one of page.bindings) {
      const { kind, value } = one.binding.root;
      if (kind === 'user' && pool.groupOf(value) === group) bindings.push(one);
    }
    cursor = page.cursor;
    if (cursor === undefined) break;
  }
  return { bindings, cursor };
}

/**
 * @param names what the operator may mean; the first one that is bound counts
 * @throws ActRefused if none of them is bound
 * @throws StoreUnavailable
 */
export async function agentStatus(
  pool: PoolSource,
  names: readonly Name[],
  keyOf: (name: Name) => string,
): Promise<AgentStatus> {
  const { operations, bindings, mode } = pool;
  const [listed, events] = await Promise.all([
    bindings.find(names),
    mode === 'failover' ? operations.log.newest(EVENTS_READ) : [],
  ]);
  const { agreed } = operations;
  if (listed === undefined && mode === 'sticky')
    throw new ActRefused(
      404,
      `${names[0]?.value} is not bound in pool ${pool.name}; an agent without a binding gets one at the next request`,
    );
  if (mode === 'failover' && agreed.active === '')
    throw new ActRefused(404, `pool ${pool.name} has no active instance, so its agents are nowhere`);
  const root = listed?.binding.root ?? (names[0] as Name);
  const move = agreed.moving.find(({ key, until }) => key === keyOf(root) && operations.storeNow < until);
  const aliases = listed === undefined ? [] : await bindings.aliasesOf(root);
  const common = {
    pool: pool.name,
    mode,
    name: root.value,
    kind: root.kind,
    aliases: aliases.map(({ kind, value }) => ({ kind, name: value })),
    lastActiveWithinSeconds: lastActiveWithinSeconds(pool, listed === undefined ? [] : [listed]),
    // While an operator ends the binding, the agent moves nowhere.
    moving: move === undefined || move.to === NOWHERE ? null : { to: move.to },
  };
  if (listed === undefined || mode === 'failover')
    return { ...common, ...atActive(pool, root, listed, activationOf(events, agreed.active)) };
  return { ...common, ...atBound(pool, listed, move === undefined) };
}

/** The place of an agent of a sticky pool. */
function atBound(pool: PoolSource, listed: ListedBinding, isStaying: boolean) {
  const { binding, origin, loggedOff, expiresInMs } = listed;
  const { operations } = pool;
  const lost = lossOf(operations.routingState.view, binding);
  const { name, kind, ...line } = agentLine(pool, listed);
  const agent = shownName({ kind, value: name });
  // The operator's move comes first.
  const loss = isStaying ? lost : undefined;
  const { instance } = binding;
  const now = operations.storeNow;
  const endsAt = loggedOff === true ? now + expiresInMs : undefined;
  return {
    ...line,
    current: lost === undefined,
    cause: causeOf(origin),
    sentence: explainBinding({ agent, instance, origin, loss, endsAt, group: line.group ?? undefined }, now),
  };
}

/** All agents of a failover pool are at the active instance, whether or not they are bound. */
function atActive(
  pool: PoolSource,
  name: Name,
  listed: ListedBinding | undefined,
  { event, request }: Pick<Activation, 'event' | 'request'>,
) {
  const { agreed, storeNow } = pool.operations;
  const { active, activeSince: since } = agreed;
  const incarnation = agreed.instances[active]?.incarnation ?? '';
  const bound = listed && agentLine(pool, listed);
  return {
    instance: active,
    incarnation: incarnation === '' ? null : incarnation,
    current: true,
    generation: bound?.generation ?? null,
    identity: bound?.identity ?? null,
    group: null,
    boundSince: iso(since),
    cause: {
      ...NO_DETAILS,
      kind: 'active' as const,
      gateway: event?.by ?? null,
      epoch: event?.epoch ?? null,
      by: request?.by ?? null,
      why: request?.why ?? event?.why ?? null,
    },
    sentence: explainActive(shownName(name), { pool: pool.name, active, since, event, request }, storeNow),
    lastActive: bound?.lastActive ?? null,
    loggedOff: bound?.loggedOff ?? false,
    expiresInSeconds: bound?.expiresInSeconds ?? null,
  };
}

function agentLine(pool: PoolSource, listed: ListedBinding): AgentLine {
  const { binding, expiresInMs, found, origin } = listed;
  const { root, instance, incarnation, generation } = binding;
  return {
    name: root.value,
    kind: root.kind,
    instance,
    incarnation: incarnation === '' ? null : incarnation,
    generation,
    identity: root.kind === 'address' ? 'address' : found === true ? 'found' : 'asserted',
    group: (root.kind === 'user' ? pool.groupOf(root.value) : undefined) ?? null,
    boundSince: origin === undefined ? null : iso(origin.since),
    lastActive: lastActiveOf(listed, pool),
    loggedOff: listed.loggedOff === true,
    expiresInSeconds: Math.round(expiresInMs / 1_000),
  };
}

function causeOf(origin: ListedBinding['origin']): AgentCause {
  if (origin === undefined) return { ...NO_DETAILS, kind: 'unknown' };
  const { gateway, epoch, cause } = origin;
  const common = {
    ...NO_DETAILS,
    kind: cause.kind,
    gateway: gateway === '' ? null : gateway,
    // Without the store there was no common view.
    epoch: epoch === 0 ? null : epoch,
  };
  switch (cause.kind) {
    case 'claimed':
      return { ...common, balancer: cause.balancer };
    case 'rebound':
      return { ...common, why: `${cause.from} ${LOSSES[cause.loss].was}` };
    case 'moved':
      return { ...common, by: cause.by === '' ? null : cause.by, why: cause.why === '' ? null : cause.why };
    default:
      return common;
  }
}

function shownName({ kind, value }: Name): string {
  return kind === 'user' ? value : `${kind} ${value}`;
}
