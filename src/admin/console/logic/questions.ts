import type { ExplainStep, Explanation, PoolStatus, WhatIf } from '../data/contract.ts';
import { count } from './text.ts';

/** What the page asks about a request. */
export interface AskedRequest {
  /** A user, or a whole request. */
  readonly user: string;
  readonly request: string;
  readonly from: string;
}

/** The body of the question; `undefined` if there is nothing to ask about. */
export function explainBody({
  user,
  request,
  from,
}: AskedRequest): Readonly<Record<string, string>> | undefined {
  const source = from.trim() === '' ? {} : { from: from.trim() };
  if (request.trim() !== '') return { request, ...source };
  return user.trim() === '' ? undefined : { user: user.trim(), ...source };
}

export const CHANGES = {
  'instance-dies': 'an instance dies',
  disable: 'an instance is disabled',
  drain: 'an instance drains',
  enable: 'an instance is enabled',
  weight: 'an instance gets another weight',
  'gateway-goes': 'a gateway goes',
  'store-goes': 'the store is away',
} as const;
export type Change = keyof typeof CHANGES;

export interface AskedChange {
  readonly change: Change;
  readonly instance: string;
  readonly weight: string;
  readonly gateway: string;
}

/** The body of the question; `undefined` while a field that it needs is empty. */
export function whatIfBody({
  change,
  instance,
  weight,
  gateway,
}: AskedChange): Readonly<Record<string, unknown>> | undefined {
  if (change === 'store-goes') return { change };
  if (change === 'gateway-goes') return gateway === '' ? undefined : { change, gateway };
  if (instance === '') return undefined;
  if (change !== 'weight') return { change, instance };
  const amount = Number(weight);
  return weight.trim() === '' || Number.isNaN(amount) ? undefined : { change, instance, weight: amount };
}

/** The steps that decided something come first to the eye; the others say which rules did not apply. */
export function ruleText({ rule, found }: ExplainStep): string {
  return found === null ? rule : `${rule}: ${found}`;
}

export function outcomeLevel({ outcome }: Explanation): 'ok' | 'warning' | 'critical' {
  if (outcome === 'forward' || outcome === 'answer') return 'ok';
  return outcome === 'refuse' ? 'critical' : 'warning';
}

export function boundText({ bound, isComplete, isExact }: WhatIf): string {
  const looked = `${count(bound, 'bound agent')} looked at${isComplete ? '' : ', and there are more'}.`;
  return isExact
    ? looked
    : `${looked} The balancer chooses when each agent’s next request comes, so only numbers are known.`;
}

export function instancesOf(pools: readonly PoolStatus[], pool: string): readonly string[] {
  return pools.find(({ name }) => name === pool)?.instances.map(({ id }) => id) ?? [];
}
