import type { ShownOption } from '../core/shown-option.ts';
import { COMPUTED } from './computed.ts';
import { effectiveConfig } from './effective.ts';
import type { OptionNode } from './option.ts';
import type { Path } from './problem.ts';
import { formatPath } from './problem.ts';
import type { ReadConfig } from './read-config.ts';
import type { Config } from './schema.ts';
import { OPTIONS } from './schema.ts';
import { isRecord } from './tree.ts';

/** The source of the value at a path; `undefined` for a default. */
export type SourceOf = (path: Path) => string | undefined;

// Beside the configurations and not in them, because sources are no options: a reload that only moves a line changes
// nothing.
const SOURCES = new WeakMap<Config, SourceOf>();

export function rememberSources(config: Config, sourceOf: SourceOf): void {
  SOURCES.set(config, sourceOf);
}

/** A loaded configuration with what processes show of it. */
export function withShown(config: Config): ReadConfig {
  return { config, shownConfig: effectiveConfig(config), shownOptions: shownOptions(config) };
}

/** All options of a loaded configuration, in the order of the documentation. */
export function shownOptions(config: Config): readonly ShownOption[] {
  const sourceOf = SOURCES.get(config) ?? (() => undefined);
  return optionsIn(OPTIONS, effectiveConfig(config), [], sourceOf);
}

function optionsIn(schema: OptionNode, value: unknown, path: Path, sourceOf: SourceOf): ShownOption[] {
  if (schema.type === 'array' && schema.items?.type === 'object' && Array.isArray(value)) {
    const { items } = schema;
    return value.flatMap((item, index) => optionsIn(items, item, [...path, index], sourceOf));
  }
  if (isRecord(value) && schema.type === 'object')
    return Object.entries(schema.properties ?? {}).flatMap(([key, member]) =>
      value[key] === undefined ? [] : optionsIn(member, value[key], [...path, key], sourceOf),
    );
  const shown = { path: formatPath(path), value: textOf(value), default: defaultOf(schema) };
  return [{ ...shown, source: sourceOf(path) ?? 'default' }];
}

function defaultOf(schema: OptionNode): string | null {
  if (schema.default !== undefined) return textOf(schema.default);
  return schema.computed === undefined ? null : COMPUTED[schema.computed].label.replaceAll('`', '');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
