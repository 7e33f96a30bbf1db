import { span } from '../span.ts';
import type { InstanceEvidence } from './evidence.ts';
import { countFrom, DAY_MS, KINDS, longestBefore } from './evidence.ts';

/** The values of `health.profile`. */
export type Profile = 'careful' | 'balanced' | 'fast';

/** `keep` the present setting; `unsure` without enough evidence. */
export type Advice = Profile | 'keep' | 'unsure';

/** The options that decide how soon an instance counts as down. */
export interface ProbeTimes {
  readonly intervalMs: number;
  readonly fastIntervalMs: number;
  readonly timeoutMs: number;
  readonly fall: number;
}

export interface NamedTimes {
  /** `undefined` for values that are no profile. */
  readonly profile: Profile | undefined;
  readonly times: ProbeTimes;
}

/** What one setting would have meant over the last days. */
export interface SettingVerdict {
  readonly profile: Profile | undefined;
  readonly isPresent: boolean;
  /** The shortest time without any answer that can turn an instance down. */
  readonly pauseMs: number;
  /** About how long it takes until an instance that hangs counts as down. */
  readonly detectionMs: number;
  /** How often an instance could have counted as down that was the same incarnation afterwards. */
  readonly losses: number;
}

export interface Conclusion {
  /** Since when every instance has been watched, in milliseconds since the Unix epoch; `undefined` if one has not. */
  readonly since: number | undefined;
  /** Of the instance that was watched for the shortest time. */
  readonly watchedMs: number;
  /** With a `timeout × fall` above it, no pause would have turned an instance down; `undefined` without any answer. */
  readonly safeAboveMs: number | undefined;
  readonly settings: readonly SettingVerdict[];
  readonly advice: Advice;
  /** The same in words. */
  readonly text: string;
}

// Pauses of a connector depend on the hour: work, backups, batches at night.
const ENOUGH_MS = DAY_MS;
// A longer silence is no pause but an outage, of the network for example: its agents are better served elsewhere.
const OUTAGE_MS = 30_000;

/**
 * Which settings would have been safe over the last days, and what they would save. A faster one is advised only if it
 * would have been safe: where pauses are too long for all of them, shorter ones are to be expected too.
 */
export function conclude(
  instances: readonly InstanceEvidence[],
  present: NamedTimes,
  profiles: readonly NamedTimes[],
): Conclusion {
  const others = profiles.filter(({ profile }) => profile !== present.profile);
  const settings = [present, ...others]
    .map((one) => verdictOf(one, one === present, instances))
    .toSorted((a, b) => b.detectionMs - a.detectionMs);
  const watchedMs = Math.min(...instances.map((one) => one.watchedMs));
  const isWatched = instances.every(({ since }) => since !== undefined);
  const best = settings.toSorted(byMerit)[0] as SettingVerdict;
  const longest = Math.max(...instances.map(({ counts }) => longestBefore(counts.unanswered, OUTAGE_MS)));
  const found = {
    since: isWatched ? Math.max(...instances.map(({ since = 0 }) => since)) : undefined,
    watchedMs,
    safeAboveMs: longest > 0 ? Math.ceil(longest) : undefined,
    settings,
  };
  if (watchedMs < ENOUGH_MS) return { ...found, advice: 'unsure', text: tooLittle(found) };
  const advice = best.isPresent ? 'keep' : (best.profile ?? 'keep');
  return { ...found, advice, text: textOf(found, best) };
}

function byMerit(one: SettingVerdict, other: SettingVerdict): number {
  if (one.losses !== other.losses) return one.losses - other.losses;
  const presentFirst = Number(other.isPresent) - Number(one.isPresent);
  if (one.losses > 0) return presentFirst || other.detectionMs - one.detectionMs;
  return one.detectionMs - other.detectionMs || presentFirst;
}

function verdictOf(
  { profile, times }: NamedTimes,
  isPresent: boolean,
  instances: readonly InstanceEvidence[],
): SettingVerdict {
  const { intervalMs, fastIntervalMs, timeoutMs, fall } = times;
  // In the worst case a probe begins with the silence. The next one begins when it has timed out, or a fast interval
  // after it began.
  const pauseMs = (fall - 1) * Math.max(timeoutMs, fastIntervalMs) + timeoutMs;
  // A refused probe ends at once. That the instance answers again shows half an interval late on average.
  const failuresMs = (fall - 0.5) * fastIntervalMs;
  // A page that takes longer than the time-out is never read, however often it is asked for.
  const tooLong = { unanswered: pauseMs, failed: failuresMs, slow: timeoutMs };
  let losses = 0;
  for (const { counts } of instances)
    for (const kind of KINDS) losses += countFrom(counts[kind], tooLong[kind], OUTAGE_MS);
  // An instance begins to hang between two probes.
  return { profile, isPresent, pauseMs, detectionMs: Math.round(intervalMs / 2 + pauseMs), losses };
}

type Found = Pick<Conclusion, 'since' | 'watchedMs' | 'safeAboveMs' | 'settings'>;

function tooLittle({ since, watchedMs }: Found): string {
  const from = since === undefined ? '' : `, since ${minuteOf(since)}`;
  return `probes watched for ${span(watchedMs)} only${from}; advice needs a day`;
}

function textOf({ watchedMs, safeAboveMs, settings }: Found, best: SettingVerdict): string {
  const present = settings.find(({ isPresent }) => isPresent) as SettingVerdict;
  const lost = settings.map(({ losses, ...one }) => `${nameOf(one)} ${losses}`).join(', ');
  const facts = [
    `over ${span(watchedMs)} a running instance could have counted as down so often: ${lost}`,
    ...(safeAboveMs === undefined ? [] : [`safe: timeout × fall above ${seconds(safeAboveMs)}`]),
  ];
  return [...facts, adviceText(present, best)].join('; ');
}

function adviceText(present: SettingVerdict, best: SettingVerdict): string {
  if (best.isPresent) return `${best.losses > 0 ? 'no profile is safer, so ' : ''}keep the present setting`;
  const difference = seconds(Math.abs(present.detectionMs - best.detectionMs));
  if (best.losses < present.losses)
    return `health.profile ${best.profile} is safer, and finds a hung instance ${difference} ${best.detectionMs > present.detectionMs ? 'later' : 'sooner'}`;
  return `health.profile ${best.profile} is safe, and finds a hung instance ${difference} sooner`;
}

function nameOf({ profile, isPresent }: Pick<SettingVerdict, 'profile' | 'isPresent'>): string {
  if (profile === undefined) return 'the present setting';
  return isPresent ? `${profile} (present)` : profile;
}

/** Such as `2026-11-30 10:04 UTC`. */
function minuteOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
