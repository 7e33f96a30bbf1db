import type { OptionNode } from './option.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from './units.ts';

interface Conversion {
  parse(text: string): number | undefined;
  format(amount: number): string;
}

const CONVERSIONS: Readonly<Record<string, Conversion>> = {
  duration: { parse: parseDuration, format: formatDuration },
  size: { parse: parseSize, format: formatSize },
};

/** The conversion of a value with a unit; `undefined` without a unit. */
export function conversionOf(schema: OptionNode): Conversion | undefined {
  return schema.unit === undefined ? undefined : CONVERSIONS[schema.unit];
}

/** Completes "must be …". */
export function expectation(schema: OptionNode): string {
  if (schema.expects !== undefined) return schema.expects;
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema.unit === 'duration') return `a duration such as 250ms, 2s, 5m, 12h or 1d${bounds(schema)}`;
  if (schema.unit === 'size') return `a size such as 512, 64KB or 50MB${bounds(schema)}`;
  if (schema.unit === 'path') return 'the name of a file or directory';
  switch (schema.type) {
    case 'object':
      return `a section with ${Object.keys(schema.properties ?? {}).join(', ')}`;
    case 'array':
      return `a list; each entry is ${expectation(schema.items ?? {})}`;
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number from ${schema.minimum} to ${schema.maximum}`;
    case 'number':
      return `a number from ${schema.minimum} to ${schema.maximum}`;
    default:
      return 'a text that is not empty';
  }
}

function bounds({ atLeast, atMost }: OptionNode): string {
  if (atLeast !== undefined && atMost !== undefined) return ` from ${atLeast} to ${atMost}`;
  if (atLeast !== undefined) return ` of ${atLeast} or more`;
  return atMost === undefined ? '' : ` of ${atMost} or less`;
}

// Long enough to recognise the value, short enough for one line.
const SHOWN_LENGTH = 60;

/** A value as shown in messages. */
export function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a section';
  if (typeof value !== 'string') return String(value);
  // Any option may contain a URL with a password by mistake.
  const shown = value.replace(/\/\/.*@/, '//***@');
  return JSON.stringify(shown.length > SHOWN_LENGTH ? `${shown.slice(0, SHOWN_LENGTH)}…` : shown);
}
