/** `250ms`, `2s`, `1.5m`, `12h`, `1d`. */
export const DURATION_PATTERN = '^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$';

/** `64KB`, `50MB`, `1GB`, or a plain number of bytes. A KB is 1024 bytes. */
export const SIZE_PATTERN = '^[0-9]+(\\.[0-9]+)?(B|KB|MB|GB)?$';

// Compiled once: a start reads a hundred values.
const IS_DURATION = new RegExp(DURATION_PATTERN);
const IS_SIZE = new RegExp(SIZE_PATTERN);

type Scale = readonly (readonly [unit: string, factor: number])[];

// Largest first: formatting takes the first that divides evenly.
const DURATIONS: Scale = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
];

const SIZES: Scale = [
  ['GB', 1024 ** 3],
  ['MB', 1024 ** 2],
  ['KB', 1024],
  ['B', 1],
];

/** Milliseconds, or `undefined` if the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  return parse(text, IS_DURATION, DURATIONS);
}

/** The shortest text that {@link parseDuration} reads as exactly these milliseconds. */
export function formatDuration(ms: number): string {
  return ms === 0 ? '0s' : format(ms, DURATIONS);
}

/** Bytes, or `undefined` if the text is not a size. */
export function parseSize(text: string): number | undefined {
  return parse(/[0-9.]$/.test(text) ? `${text}B` : text, IS_SIZE, SIZES);
}

/** The shortest text that {@link parseSize} reads as exactly these bytes. */
export function formatSize(bytes: number): string {
  return format(bytes, SIZES);
}

function parse(text: string, pattern: RegExp, scale: Scale): number | undefined {
  if (!pattern.test(text)) return undefined;
  const unit = text.replace(/^[0-9.]+/, '');
  const factor = scale.find(([name]) => name === unit)?.[1];
  return factor === undefined ? undefined : Math.round(Number.parseFloat(text) * factor);
}

function format(amount: number, scale: Scale): string {
  for (const [unit, factor] of scale) {
    if (amount >= factor && amount % factor === 0) return `${amount / factor}${unit}`;
  }
  return `${amount}${scale.at(-1)?.[0] ?? ''}`;
}
