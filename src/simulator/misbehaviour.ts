/**
 * The misbehaviours of a simulated connector.
 *
 * - `hang`: accepts, reads and never answers
 * - `slow`: answers after `ms`
 * - `reset`: RST after the request was read, before any byte of a response
 * - `reset-mid-response`: status line, header and half of the body, then RST
 * - `garbage`: bytes that are not HTTP
 * - `refuse`: no longer listens, and keeps its state
 * - `fault`: a SOAP Fault of its own (which is an answer)
 * - `unavailable`: 503
 */
export const MODES = [
  'normal',
  'hang',
  'slow',
  'reset',
  'reset-mid-response',
  'garbage',
  'refuse',
  'fault',
  'unavailable',
] as const;
export type Mode = (typeof MODES)[number];

const TARGETS = ['all', 'soap', 'health'] as const;
export type Target = (typeof TARGETS)[number];

export interface Behaviour {
  readonly mode: Mode;
  /** The delay of `slow`. */
  readonly ms?: number;
  /** The requests to which it applies; `all` by default. `/sim/…` always answers. */
  readonly appliesTo?: Target;
  /** Back to `normal` after this many milliseconds. */
  readonly forMs?: number;
  /** The share of requests to which it applies, from 0 to 1; 1 by default. */
  readonly probability?: number;
}

export const NORMAL: Behaviour = Object.freeze({ mode: 'normal' });

/** The longest delay that can be requested, because the simulators limit every wait. */
const MAX_MS = 10 * 60_000;

/** Parses the body of a POST to `/sim/behave`. Throws an `Error` that names the problem. */
export function parseBehaviour(json: string): Behaviour {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new Error('the behaviour is not JSON', { cause });
  }
  if (typeof value !== 'object' || value === null) throw new Error('the behaviour is not a JSON object');
  const { mode, ms, appliesTo, forMs, probability, ...rest } = value as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) throw new Error(`unknown property ${unknown}`);
  return {
    mode: oneOf(MODES, 'mode', mode),
    ...(ms === undefined ? {} : { ms: within('ms', ms, MAX_MS) }),
    ...(appliesTo === undefined ? {} : { appliesTo: oneOf(TARGETS, 'appliesTo', appliesTo) }),
    ...(forMs === undefined ? {} : { forMs: within('forMs', forMs, MAX_MS) }),
    ...(probability === undefined ? {} : { probability: within('probability', probability, 1) }),
  };
}

function oneOf<T extends string>(choices: readonly T[], name: string, value: unknown): T {
  const chosen = choices.find((choice) => choice === value);
  if (chosen === undefined) throw new Error(`${name} must be one of ${choices.join(', ')}`);
  return chosen;
}

function within(name: string, value: unknown, most: number): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= most)) {
    throw new Error(`${name} must be a number from 0 to ${most}`);
  }
  return value;
}
