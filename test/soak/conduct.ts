import { setTimeout as sleep } from 'node:timers/promises';
import { untilAgreed } from '../chaos/experiment.ts';
import type { Stage } from '../chaos/stage.ts';
import { MODES } from '../chaos/stage.ts';
import { eventually } from '../support/eventually.ts';
import { facing } from './faults.ts';
import type { Planned } from './plan.ts';
import { titleOf } from './plan.ts';
import type { Happened } from './windows.ts';
import { AFTER_MS } from './windows.ts';

export interface Conducted {
  /** From the end of each episode until all gateways acted on one view, in ms. */
  readonly agreedMs: readonly number[];
  /** Faults that could not be caused or ended, and gateways that did not agree. */
  readonly problems: readonly string[];
  /** Faults for which the time did not suffice. */
  readonly left: number;
}

export interface ConductOptions {
  /** On the clock of `performance.now()`. */
  readonly startedAt: number;
  readonly forMs: number;
  /** Ends the present faults, and causes no more. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** A fault may take longer to end than planned; the next one still leaves the gateways this time. */
const LEAST_CALM_MS = AFTER_MS + 2_000;
const WHOLE_MS = 30_000;

/**
 * Causes the faults one episode after the other.
 *
 * @param happened gets each fault when it is caused
 */
export async function conduct(
  stage: Stage,
  plan: readonly (readonly Planned[])[],
  happened: Happened[],
  { startedAt, forMs, signal, say }: ConductOptions,
): Promise<Conducted> {
  const problems: string[] = [];
  const agreedMs: number[] = [];
  let left = 0;
  let calmSince = startedAt - LEAST_CALM_MS;
  const cause = async (planned: Planned): Promise<void> => {
    const title = titleOf(planned);
    try {
      await causeOne(stage, planned, happened, signal);
    } catch (error) {
      problems.push(`${title}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  for (const episode of plan) {
    const [first] = episode as [Planned];
    const lateBy = Math.max(0, calmSince + LEAST_CALM_MS - startedAt - first.atMs);
    const over = Math.max(...episode.map((one) => one.atMs + one.forMs)) + lateBy;
    if (signal.aborted || over + LEAST_CALM_MS > forMs) {
      left += episode.length;
      continue;
    }
    await Promise.all(
      episode.map(async (planned) => {
        await rest(startedAt + planned.atMs + lateBy - performance.now(), signal);
        if (signal.aborted) return;
        say(`${progress(startedAt, forMs)} ${titleOf(planned)}, for ${(planned.forMs / 1_000).toFixed(1)} s`);
        await cause(planned);
      }),
    );
    if (signal.aborted) break;
    const agreed = await untilAgreed(stage.gateways, MODES);
    agreedMs.push(agreed.agreedMs);
    if (agreed.disagreement !== undefined)
      problems.push(`after “${episode.map(titleOf).join('” and “')}”: ${agreed.disagreement}`);
    calmSince = performance.now();
  }
  await rest(startedAt + forMs - performance.now(), signal);
  return { agreedMs, problems, left };
}

async function causeOne(
  stage: Stage,
  planned: Planned,
  happened: Happened[],
  signal: AbortSignal,
): Promise<void> {
  const { kind, forMs } = planned;
  if (kind.victim === 'redis') await eventually(() => stage.redis.requireWhole(), { within: WHOLE_MS });
  const turned = await facing(stage, planned);
  const fault: Happened = {
    kind,
    title: titleOf(planned),
    gateway: turned.gateways[0].name,
    instance: turned.instances[0].name,
    from: performance.now(),
  };
  happened.push(fault);
  try {
    await kind.strike(turned);
    await rest(forMs, signal);
  } finally {
    await kind.heal(turned);
    fault.to = performance.now();
  }
}

/** The time since the begin, of all, and what is left. */
function progress(startedAt: number, forMs: number): string {
  const now = performance.now() - startedAt;
  return `${minutes(now)} of ${minutes(forMs)} (${minutes(forMs - now)} left):`;
}

export function minutes(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** Ends early if the signal says so. */
async function rest(ms: number, signal: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => undefined);
}
