import type { OptionNode } from './option.ts';
import { OPTIONS } from './schema.ts';
import { isRecord } from './tree.ts';

const KEYWORDS = new Set([
  'type',
  'properties',
  'items',
  'anyOf',
  'enum',
  'pattern',
  'minLength',
  'minItems',
  'uniqueItems',
  'minimum',
  'maximum',
  'default',
  'description',
  'additionalProperties',
]);

/**
 * The JSON Schema of the file, for editors. Only options without a default are
 * required in it, and our own keywords are left out.
 */
export function jsonSchema(): Record<string, unknown> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'ici-gateway',
    ...portable(OPTIONS),
  };
}

function portable(node: OptionNode): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(node)) {
    if (KEYWORDS.has(keyword)) result[keyword] = value;
  }
  if (node.items !== undefined) result['items'] = portable(node.items);
  if (node.anyOf !== undefined) result['anyOf'] = node.anyOf.map(portable);
  if (node.properties !== undefined) {
    const options = Object.entries(node.properties);
    result['properties'] = Object.fromEntries(options.map(([key, option]) => [key, portable(option)]));
    const required = options.filter(([key, option]) => node.required?.includes(key) && isRequired(option));
    if (required.length > 0) result['required'] = required.map(([key]) => key);
  }
  return result;
}

/** Whether the operator must set the option. */
function isRequired(option: OptionNode): boolean {
  if (option.default !== undefined || option.computed !== undefined) return false;
  if (!isRecord(option.properties)) return true;
  return Object.entries(option.properties).some(
    ([key, inner]) => option.required?.includes(key) === true && isRequired(inner),
  );
}
