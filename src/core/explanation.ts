import type { ErrorCode } from './errors.ts';
import type { NameKind } from './identity.ts';
import type { InstanceId } from './instance.ts';

/** What a worker is asked to explain: one of `user`, `session`, `headers` and `request`. */
export interface ExplainQuestion {
  readonly pool: string;
  /** The name of a user, as SAP asserts it. */
  readonly user?: string | undefined;
  /** The value of a session, as SAP asserts it. Beside a user or alone. */
  readonly session?: string | undefined;
  /** Header fields, each as `name: value`, of a request without a body. */
  readonly headers?: readonly string[] | undefined;
  /** A whole HTTP request. */
  readonly request?: string | undefined;
  /** The address from which the request would come. */
  readonly from?: string | undefined;
}

/** The parts of the gateway that take part in routing, in the order in which they do. */
export const EXPLAINED_PARTS = [
  'request',
  'pool',
  'header',
  'cookie',
  'body',
  'address',
  'names',
  'view',
  'move',
  'cache',
  'store',
  'evidence',
  'group',
  'balancer',
  'instance',
  'target',
  'session',
  'place',
] as const;
export type ExplainedPart = (typeof EXPLAINED_PARTS)[number];

/** One rule of routing, and what it found. */
export interface ExplainStep {
  readonly part: ExplainedPart;
  /** The rule decided something for this request. */
  readonly applies: boolean;
  /** The rule, in words. */
  readonly rule: string;
  /** The value that was found, or why there is none; `null` if the rule looks for nothing. */
  readonly found: string | null;
}

/** A name that the request bears. Sessions are shown as their digests. */
export interface ExplainedName {
  readonly kind: NameKind;
  readonly value: string;
  readonly evidence: 'asserted' | 'found';
  readonly source: 'asked' | 'header' | 'cookie' | 'body' | 'address';
}

/**
 * What would happen with the request: `forward`: it goes to the instance at once. `queue`: it waits for a place at the
 * instance. `wait`: it waits for what `waitsFor` says. `refuse`: it gets the error. `answer`: the gateway answers it.
 * `other-pool`: it is not for this pool.
 */
export const EXPLAINED_OUTCOMES = ['forward', 'queue', 'wait', 'refuse', 'answer', 'other-pool'] as const;
export type ExplainedOutcome = (typeof EXPLAINED_OUTCOMES)[number];

/** What a request waits for, see `WaitReason` in proxy/target-finder.ts. */
export const EXPLAINED_WAITS = ['starting', 'no-instance', 'view', 'lease', 'store'] as const;
export type ExplainedWait = (typeof EXPLAINED_WAITS)[number];

/** How the gateway would come by the binding, as in logs. */
export const EXPLAINED_DECISIONS = ['bound', 'claimed', 'rebound', 'storeless', 'anonymous'] as const;
export type ExplainedDecision = (typeof EXPLAINED_DECISIONS)[number];

/** How a gateway would route a request now. */
export interface Explanation {
  readonly pool: string;
  readonly outcome: ExplainedOutcome;
  /** The same for people, and what happens next. */
  readonly sentence: string;
  readonly decision: ExplainedDecision | null;
  /** Where it goes; `null` if it goes nowhere, or the balancer chooses only when it comes. */
  readonly instance: InstanceId | null;
  readonly incarnation: string | null;
  /** The instances among which the balancer would choose, if that cannot be told before. */
  readonly oneOf: readonly InstanceId[];
  readonly waitsFor: ExplainedWait | null;
  /** The error that it gets, at once or after a wait without success. */
  readonly error: ErrorCode | null;
  /** Other errors, if the balancer chooses otherwise. */
  readonly otherErrors: readonly ErrorCode[];
  readonly names: readonly ExplainedName[];
  /** The epoch of the view by which it was explained. */
  readonly epoch: number;
  readonly steps: readonly ExplainStep[];
}
