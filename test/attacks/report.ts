import { table } from '../bench/figures.ts';
import type { Progress } from './attacker.ts';

/** What agents saw while one thing went on. */
export interface Phase {
  readonly durations: number[];
  refused: number;
}

export interface Result {
  readonly name: string;
  readonly quiet: Phase;
  /** During the same attack on a server that does nothing. */
  readonly decoy: Phase;
  /** Requests at a server of Node without a gateway, during the same attack on it. */
  readonly bare: Phase;
  readonly attack: Phase;
  readonly progress: Progress;
  readonly operators: { asked: number; refused: number };
  /** The processor time of the workers during the attack, as a share of a core. */
  readonly workers: number;
  /** The memory of the gateway at most. */
  rss: number;
}

const MOST_RATIO = 2;
/** Below this a p99 doubles by chance. */
const NOISE_MS = 5;
const MB = 1_024 * 1_024;

/** Prints what was measured, and fails if an agent or operator was refused, or the agents waited too long. */
export function report(results: readonly Result[]): void {
  const ms = (value: number): string => value.toFixed(1);
  print(
    `${table([
      [
        'attack',
        'agents',
        ...['p50 ms quiet', 'decoy', 'bare', 'attack', 'p99 ms quiet', 'decoy', 'bare', 'attack'],
        ...['refused', 'operators', 'refused', 'workers', 'RSS'],
      ],
      ...results.map(({ name, quiet, decoy, bare, attack, operators, workers, rss }) => [
        name,
        String(attack.durations.length),
        ...[0.5, 0.99].flatMap((share) => [quiet, decoy, bare, attack].map((phase) => ms(at(phase, share)))),
        String(refusedIn({ quiet, decoy, attack })),
        String(operators.asked),
        String(operators.refused),
        `${(100 * workers).toFixed(0)} %`,
        mb(rss),
      ]),
    ])}\n`,
  );
  for (const { name, quiet, decoy, attack, progress, operators } of results) {
    const { opened, closed, answers } = progress;
    print(
      `${name}: attackers opened ${opened} connections, ${closed} were closed, answers ${JSON.stringify(answers)}\n`,
    );
    const before = Math.max(at(quiet, 0.99), at(decoy, 0.99));
    check(
      `${name}: p99 at most doubles, beside quiet or the decoy, and none is refused`,
      at(attack, 0.99) <= Math.max(NOISE_MS, before * MOST_RATIO) &&
        refusedIn({ quiet, decoy, attack }) + operators.refused === 0,
    );
  }
}

function refusedIn(phases: Pick<Result, 'quiet' | 'decoy' | 'attack'>): number {
  return phases.quiet.refused + phases.decoy.refused + phases.attack.refused;
}

function at({ durations }: Phase, share: number): number {
  const sorted = durations.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function check(text: string, isHeld: boolean): void {
  print(`${isHeld ? 'held  ' : 'FAILED'} ${text}\n`);
  if (!isHeld) process.exitCode = 1;
}

export function mb(bytes: number): string {
  return `${(bytes / MB).toFixed(0)} MB`;
}

export function print(text: string): void {
  process.stdout.write(text);
}
