import { ERRORS } from '../../../core/errors.ts';

export { showHidden } from '../../../core/hidden-characters.ts';
export { SOURCE_TEXTS } from '../../../core/seen-names.ts';

export const ERROR_CODES: readonly string[] = Object.keys(ERRORS);

/** `1 agent`, `2 agents`. */
export function count(amount: number, one: string, many = `${one}s`): string {
  return `${number(amount)} ${amount === 1 ? one : many}`;
}

/** With a thin gap between thousands: `10 000`. */
export function number(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** `a`, `a and b`, `a, b and c`. */
export function list(items: readonly string[]): string {
  return items.length < 2 ? (items[0] ?? '') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

export function percent(share: number): string {
  return `${Math.round(share * 100)}\u00a0%`;
}

/** `12.3 /s`: one decimal below 100. */
export function rate(perSecond: number): string {
  return `${perSecond < 100 ? (Math.round(perSecond * 10) / 10).toFixed(1) : number(Math.round(perSecond))} /s`;
}

/** A word for a POSIX shell, quoted only where that is needed. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
