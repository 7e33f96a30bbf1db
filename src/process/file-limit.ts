import { readFileSync } from 'node:fs';

export interface FileLimit {
  /** How many files this process may open. Node raises it to {@link hard} when it starts. */
  readonly soft: number;
  /** What it may be raised to. */
  readonly hard: number;
}

/** `undefined` where the system does not tell. */
export function fileLimit(): FileLimit | undefined {
  try {
    return parseFileLimit(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    return undefined;
  }
}

/** @param limits the content of `/proc/self/limits` */
export function parseFileLimit(limits: string): FileLimit | undefined {
  const [, soft, hard] = /^Max open files +(\d+|unlimited) +(\d+|unlimited)/m.exec(limits) ?? [];
  return soft === undefined || hard === undefined ? undefined : { soft: count(soft), hard: count(hard) };
}

function count(text: string): number {
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}
