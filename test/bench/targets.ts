import type { ContenderName } from './contenders.ts';
import type { Verdict } from './figures.ts';
import { judge, ratioOf } from './figures.ts';
import type { Connections } from './load.ts';
import type { Turn } from './requests.ts';

/** What a figure is held to, and whether it is met. */
export interface Judged {
  readonly what: string;
  readonly pairs: number;
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly target: string;
  readonly verdict: Verdict;
}

interface RatioTarget {
  readonly of: ContenderName;
  readonly over: ContenderName;
  readonly connections: Connections;
  readonly most: number;
}

/** Of processor time per request. */
const TARGETS: readonly RatioTarget[] = [
  { of: 'gateway', over: 'floor', connections: 'new', most: 1.6 },
  { of: 'gateway-no-log', over: 'floor', connections: 'new', most: 1.4 },
  { of: 'gateway', over: 'reply-from', connections: 'new', most: 1 },
  { of: 'gateway-no-log', over: 'reply-from', connections: 'new', most: 1 },
  { of: 'gateway', over: 'floor', connections: 'kept', most: 1.7 },
  { of: 'gateway-body', over: 'gateway', connections: 'new', most: 1.1 },
  { of: 'gateway-worker', over: 'gateway', connections: 'new', most: 1.03 },
  { of: 'gateway-new-redis', over: 'gateway', connections: 'new', most: 1.6 },
  { of: 'gateway-new-embedded', over: 'gateway', connections: 'new', most: 1.8 },
];

/** Those whose contenders were measured. */
export function judgeRequests(turns: ReadonlyMap<string, readonly Turn[]>): Judged[] {
  return TARGETS.flatMap(({ of, over, connections, most }) => {
    const microsOf = (name: ContenderName): number[] =>
      (turns.get(name) ?? []).flatMap((turn) => turn[connections]?.cpuMicros ?? []);
    const [own, other] = [microsOf(of), microsOf(over)];
    if (own.length === 0 || other.length === 0) return [];
    const what = `${of} / ${over}, ${connections === 'new' ? 'new connections' : 'kept alive'}`;
    return [judged(what, own, other, most)];
  });
}

/** The ratio of pairs, which may be at most `most`. */
export function judged(what: string, of: readonly number[], over: readonly number[], most: number): Judged {
  const ratio = ratioOf(of, over);
  return { what, ...ratio, target: `<= ${most.toFixed(2)}`, verdict: judge(ratio, most) };
}
