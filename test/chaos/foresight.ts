import type { AgentPage } from '../../src/core/agent-status.ts';
import type { WhatIf, WhatIfChange } from '../../src/core/what-if.ts';
import { ask } from '../support/operator.ts';
import type { Mode, Stage, StagedGateway } from './stage.ts';
import { statusOf } from './stage.ts';

/** What is asked before a fault. */
export interface Foretold {
  readonly change: WhatIfChange;
  readonly instance?: string;
  /** The gateway by its place in the set-up. */
  readonly gateway?: 0;
}

/** What a gateway foretold, and where the agents were then. */
export interface Foresight {
  readonly told: WhatIf;
  readonly places: ReadonlyMap<string, string>;
}

const MOST = 1_000;

/** Asks what would happen. */
export async function foretell(
  { gateways }: Stage,
  witness: StagedGateway,
  mode: Mode,
  { gateway, ...foretold }: Foretold,
): Promise<Foresight> {
  const named = gateway === undefined ? {} : { gateway: (await gateways[gateway].status()).replica };
  const body = { ...foretold, ...named, names: MOST };
  const { status, body: told } = await ask(witness.adminUrl, 'POST', `/pools/${mode}/what-if`, body);
  if (status !== 200) throw new Error(`what-if answered ${status}: ${JSON.stringify(told)}`);
  return { told, places: await placesAt(witness, mode) };
}

/** In what the agents of then differ from what was foretold for them; empty if all came true. */
export async function unforeseen(
  { told, places }: Foresight,
  witness: StagedGateway,
  mode: Mode,
): Promise<string[]> {
  const now = await statusOf(witness, mode);
  const active = now?.active?.instance ?? null;
  const wrongActive =
    mode === 'failover' && active !== told.active.after
      ? [`active is ${active}, foretold was ${told.active.after}`]
      : [];
  if (mode === 'failover') return wrongActive;
  const after = await placesAt(witness, mode);
  const moves = new Map<string, number>();
  const counts = new Map<string, number>();
  const moved = new Set<string>();
  const wrong: string[] = [];
  for (const [agent, from] of places) {
    const to = after.get(agent) ?? 'nowhere';
    counts.set(to, (counts.get(to) ?? 0) + 1);
    if (to === from) continue;
    moved.add(agent);
    moves.set(`${from} → ${to}`, (moves.get(`${from} → ${to}`) ?? 0) + 1);
    const name = told.names.find((one) => one.name === agent);
    if (name === undefined) wrong.push(`${agent} moved, which was not foretold`);
    else if (told.isExact && name.to !== to) wrong.push(`${agent} is at ${to}, foretold was ${name.to}`);
  }
  for (const { name } of told.names) if (!moved.has(name)) wrong.push(`${name} did not move`);
  const foretold = told.moves.map(({ from, to, agents }) => `${from} → ${to}: ${agents}`).toSorted();
  const happened = [...moves].map(([way, agents]) => `${way}: ${agents}`).toSorted();
  if (foretold.join() !== happened.join())
    wrong.push(`moves were ${happened.join(', ') || 'none'}, foretold were ${foretold.join(', ') || 'none'}`);
  for (const { id, after: share } of told.instances)
    if ((counts.get(id) ?? 0) !== share.boundAgents)
      wrong.push(`${id} has ${counts.get(id) ?? 0} agents, foretold were ${share.boundAgents}`);
  return wrong;
}

async function placesAt(gateway: StagedGateway, mode: Mode): Promise<Map<string, string>> {
  const path = `/pools/${mode}/agents?limit=${MOST}`;
  const { status, body } = await ask(gateway.adminUrl, 'GET', path);
  if (status !== 200) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
  return new Map((body as AgentPage).agents.map(({ name, instance }) => [name, instance]));
}
