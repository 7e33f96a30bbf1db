import { readdirSync, readFileSync } from 'node:fs';
import type { StagedGateway } from '../chaos/stage.ts';
import { childrenOf } from '../support/processes.ts';
import type { Sample, Slope } from './slope.ts';
import { slopeOf } from './slope.ts';

/** One process of a gateway at one time. */
export interface Reading {
  readonly at: number;
  readonly gateway: string;
  readonly role: string;
  readonly pid: number;
  readonly residentBytes: number;
  readonly descriptors: number;
}

const EVERY_MS = 5_000;
const PAGE_BYTES = 4_096;
/** A young process still grows. */
const YOUNG_MS = 60_000;
const MB = 1e6;

/** Reads memory and descriptors of all processes of the gateways from /proc, until it is closed. */
export class Sampler {
  readonly readings: Reading[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(gateways: readonly StagedGateway[]) {
    const read = (): void => {
      for (const gateway of gateways) this.readings.push(...readingsOf(gateway));
    };
    read();
    this.#timer = setInterval(read, EVERY_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

function readingsOf({ name: gateway, pid }: StagedGateway): Reading[] {
  const at = performance.now();
  const processes = [{ pid, title: 'ici-gateway: supervisor' }, ...childrenOf(pid)];
  return processes.flatMap(({ pid, title }) => {
    const role = /^ici-gateway: ([a-z]+)/.exec(title)?.[1] ?? 'starting';
    try {
      const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
      const descriptors = readdirSync(`/proc/${pid}/fd`).length;
      return [{ at, gateway, role, pid, residentBytes: pages * PAGE_BYTES, descriptors }];
    } catch {
      // It has just ended.
      return [];
    }
  });
}

/** What the processes of one role of one gateway take, and how that changes over the second half of the time. */
export interface Trend {
  readonly gateway: string;
  readonly role: string;
  readonly processes: number;
  /** The mean of all together, over the first and the last tenth of the second half. */
  readonly residentMb: readonly [number, number];
  readonly descriptors: readonly [number, number];
  /** For each process, by the minute. */
  readonly residentSlope: Slope;
  readonly descriptorSlope: Slope;
}

/** Each process is compared with itself alone, so that a restart neither hides growth nor looks like it. */
export function trendsOf(readings: readonly Reading[], from: number, to: number): Trend[] {
  const half = (from + to) / 2;
  const born = new Map<number, number>();
  for (const { pid, at } of readings) if (!born.has(pid)) born.set(pid, at);
  const late = readings.filter(({ at }) => at >= half && at <= to);
  const groups = groupedBy(late, ({ gateway, role }) => `${gateway} ${role}`);
  return [...groups.values()].map((group): Trend => {
    const [{ gateway, role }] = group as [Reading];
    const grown = group.filter(({ pid, at }) => at - (born.get(pid) ?? at) >= YOUNG_MS);
    const lives = [...groupedBy(grown, ({ pid }) => String(pid)).values()];
    const slope = (pick: (reading: Reading) => number): Slope =>
      slopeOf(
        lives.map((life) => life.map((reading): Sample => ({ x: reading.at / 60_000, y: pick(reading) }))),
      );
    const tenth = Math.max(2 * EVERY_MS, (to - half) / 10);
    const ends = (pick: (reading: Reading) => number): readonly [number, number] => [
      levelOf(
        group.filter(({ at }) => at < half + tenth),
        pick,
      ),
      levelOf(
        group.filter(({ at }) => at >= to - tenth),
        pick,
      ),
    ];
    const resident = (reading: Reading): number => reading.residentBytes / MB;
    const descriptors = (reading: Reading): number => reading.descriptors;
    return {
      gateway,
      role,
      processes: new Set(group.map(({ pid }) => pid)).size,
      residentMb: ends(resident),
      descriptors: ends(descriptors),
      residentSlope: slope(resident),
      descriptorSlope: slope(descriptors),
    };
  });
}

/** The mean over the times of reading of the sum over the processes. */
export function levelOf(readings: readonly Reading[], pick: (reading: Reading) => number): number {
  const times = new Set(readings.map(({ at }) => at)).size;
  return readings.reduce((sum, reading) => sum + pick(reading), 0) / times;
}

export function groupedBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
