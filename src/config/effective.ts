import { stringify } from 'yaml';
import { conversionOf } from './expectation.ts';
import type { OptionNode } from './option.ts';
import { formatPath } from './problem.ts';
import { resolve } from './resolve.ts';
import type { Config } from './schema.ts';
import { OPTIONS } from './schema.ts';
import { isRecord } from './tree.ts';

/**
 * The configuration as a file would hold it: every option, with units, and with secrets masked. Loading it again gives
 * the same configuration, except for the secrets.
 */
export function effectiveConfig(config: Config): Record<string, unknown> {
  return effectiveOption(OPTIONS, config) as Record<string, unknown>;
}

/**
 * Reads the result of {@link effectiveConfig}. Secrets stay masked, and files that it names are not read,
 * because they may be on another host. Throws if it is from a version with other options.
 */
export function readEffective(written: unknown): Config {
  const { value, findings } = resolve(OPTIONS, written, { env: {}, baseOf: () => '/' });
  const [first] = findings;
  if (first === undefined) return value as Config;
  throw new Error(`${formatPath(first.path)} ${first.message}`);
}

export function effectiveYaml(config: Config): string {
  return stringify(effectiveConfig(config), { version: '1.2', lineWidth: 0 });
}

/** The value of one option in that form. */
export function effectiveOption(schema: OptionNode, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => effectiveOption(schema.items ?? {}, item));
  if (isRecord(value)) {
    const { properties = {} } = schema.anyOf?.find((one) => one.type === 'object') ?? schema;
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [key, effectiveOption(properties[key] ?? {}, member)]),
    );
  }
  if (schema.secret !== undefined) return schema.secret === 'url' ? maskUrl(String(value)) : MASK;
  const conversion = conversionOf(schema);
  return conversion === undefined ? value : conversion.format(Number(value));
}

const MASK = '***';

/** A URL with the password in it replaced, for logs and output. */
function maskUrl(text: string): string {
  if (!URL.canParse(text)) return MASK;
  const url = new URL(text);
  if (url.password === '') return text;
  url.password = MASK;
  return url.href;
}
