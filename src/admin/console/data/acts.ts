import type { Act, Fields } from '../logic/acts.ts';
import { ACTS, isDone, requestOf } from '../logic/acts.ts';
import type { Problem } from './client.ts';
import { change } from './client.ts';
import { clock } from './clock.ts';
import type { GatewayStatus } from './contract.ts';
import { live } from './live.ts';
import { Store } from './store.ts';

/**
 * pending: sent, not answered yet. accepted: decided, but not every gateway acts on it yet. in effect: every live
 * gateway acts on it. failed: refused, or its outcome is not known.
 */
export type ActState = 'pending' | 'accepted' | 'in effect' | 'failed';

export interface DoneAct {
  readonly id: number;
  readonly title: string;
  readonly state: ActState;
  readonly problem: Problem | undefined;
  readonly at: number;
}

/** The acts of this page, the latest first. */
export const acts = new Store<readonly DoneAct[]>([]);

const MOST_SHOWN = 5;
let lastId = 0;

export function dismiss(id: number): void {
  acts.set(acts.value.filter((one) => one.id !== id));
}

interface ActAnswer {
  readonly inEffect?: boolean;
  readonly epoch?: number;
  /** Of this gateway, after an act that concerns it. */
  readonly state?: GatewayStatus['state'];
}

/** Resolves when the gateway has answered; whether the act is in effect is followed after that. */
export async function run(
  act: Act,
  fields: Fields,
  why: string,
  view: string | undefined,
): Promise<Problem | undefined> {
  lastId += 1;
  const id = lastId;
  const title = ACTS[act.verb].title(act, fields);
  const note = (state: ActState, problem?: Problem): void => {
    const entry: DoneAct = { id, title, state, problem, at: clock.now() };
    const others = acts.value.filter((one) => one.id !== id);
    acts.set([entry, ...others].slice(0, MOST_SHOWN));
  };
  note('pending');
  const { method, path, body } = requestOf(act, fields, why, view);
  const answer = await change<ActAnswer>(method, path, body);
  if (!answer.ok) {
    note('failed', answer.problem);
    return answer.problem;
  }
  const { inEffect, epoch, state } = answer.body ?? {};
  const shows = (status: GatewayStatus): boolean =>
    isDone(act, status) ?? (epoch !== undefined && isViewEffective(status, act.pool, epoch));
  // A gateway that stops may end before the page sees another status, so the answer counts.
  const isInEffect = inEffect ?? (state === undefined ? undefined : isDone(act, { state })) ?? true;
  if (isInEffect) {
    note('in effect');
  } else {
    note('accepted');
    const stop = live.subscribe(() => {
      const { status } = live.value;
      if (status === undefined || !shows(status)) return;
      stop();
      note('in effect');
    });
  }
  void live.refresh();
  return undefined;
}

function isViewEffective({ pools }: GatewayStatus, pool: string, epoch: number): boolean {
  const shown = pools.find(({ name }) => name === pool);
  return shown !== undefined && shown.epoch >= epoch && shown.view.effective;
}
