import { isDeepStrictEqual } from 'node:util';
import type { OptionPath, Rebinds, Restart } from './applies.ts';
import { APPLIES } from './applies.ts';
import { effectiveOption } from './effective.ts';
import type { OptionNode } from './option.ts';
import type { Config } from './schema.ts';
import { OPTIONS } from './schema.ts';
import { isRecord } from './tree.ts';

/** One option, section or entry of a list that two configurations do not have in common. */
export interface Change {
  /** Pools by name and instances by id, such as `pools[ici].instances[b].weight`. */
  readonly path: string;
  /** As it is written in a file, secrets masked; `undefined` for what is not there. */
  readonly before: unknown;
  readonly after: unknown;
  /** `restart`: only processes that start after all others have ended may have it. */
  readonly applies: 'reload' | 'restart';
  /** Why it needs a restart; `undefined` where it does not. */
  readonly because: string | undefined;
  /** Where bindings do not outlive the restart. */
  readonly rebinds: Rebinds | undefined;
}

/** What a reload would do. */
export interface Reload {
  readonly changes: readonly Change[];
  /** Why it is refused, one line for each change that a reload cannot make. Empty where it is not. */
  readonly refused: readonly string[];
}

interface Difference {
  readonly path: string;
  /** The same as the reference has it, such as `pools[].instances[].weight`. */
  readonly option: string;
  readonly schema: OptionNode;
  readonly before: unknown;
  readonly after: unknown;
}

/** What is different, in the order of the reference; what is gone comes after what is there. */
export function changesBetween(before: Config, after: Config): Change[] {
  return [...sectionDifferences(OPTIONS, before, after, '', '')].map((difference) => {
    const { path, option, schema } = difference;
    const obstacle = obstacleTo(option, before, after);
    return {
      path,
      before: shown(schema, difference.before),
      after: shown(schema, difference.after),
      applies: obstacle === undefined ? 'reload' : 'restart',
      because: obstacle?.because,
      rebinds: obstacle?.rebinds,
    };
  });
}

/** May a gateway that runs with `before` go over to `after` without a restart? All of it, or nothing. */
export function reloadable(before: Config, after: Config): Reload {
  const changes = changesBetween(before, after);
  const refused = changes.flatMap(({ path, because }) =>
    because === undefined ? [] : [`${path} needs a restart, because ${because}`],
  );
  return { changes, refused };
}

/** One line, such as `timeouts.park: 5s → 3s`. */
export function formatChange({ path, before, after }: Change): string {
  if (before === undefined) return `${path}: added${isRecord(after) ? '' : `, ${valueText(after)}`}`;
  if (after === undefined) return `${path}: removed${isRecord(before) ? '' : `, was ${valueText(before)}`}`;
  const [was, is] = [valueText(before), valueText(after)];
  return was === is ? `${path}: another secret in ${is}` : `${path}: ${was} → ${is}`;
}

function* sectionDifferences(
  schema: OptionNode,
  before: object,
  after: object,
  path: string,
  option: string,
): Generator<Difference> {
  for (const [key, member] of Object.entries(schema.properties ?? {})) {
    const [was, is] = [before, after].map((section) => (section as Record<string, unknown>)[key]);
    yield* differences({
      schema: member,
      before: was,
      after: is,
      path: joined(path, key),
      option: joined(option, key),
    });
  }
}

function* differences(difference: Difference): Generator<Difference> {
  const { schema, before, after, path, option } = difference;
  // Frozen, plain and without cycles; what is written with other units resolves to the same.
  if (isDeepStrictEqual(before, after)) return;
  if (schema.type === 'object' && isRecord(before) && isRecord(after)) {
    yield* sectionDifferences(schema, before, after, path, option);
  } else if (isListOfSections(schema, before) && isListOfSections(schema, after)) {
    const were = byName(before);
    const are = byName(after);
    for (const name of new Set([...are.keys(), ...were.keys()])) {
      yield* differences({
        schema: schema.items ?? {},
        before: were.get(name),
        after: are.get(name),
        path: `${path}[${name}]`,
        option: `${option}[]`,
      });
    }
  } else {
    yield difference;
  }
}

function isListOfSections(schema: OptionNode, value: unknown): value is readonly object[] {
  return schema.items?.type === 'object' && Array.isArray(value);
}

/** The first option of such a section names it: `name` of a pool, `id` of an instance. */
function byName(entries: readonly object[]): Map<string, object> {
  return new Map(
    entries.map((entry) => {
      const { id, name } = entry as { readonly id?: string; readonly name?: string };
      return [String(name ?? id), entry];
    }),
  );
}

function obstacleTo(option: string, before: Config, after: Config): Restart | undefined {
  const rule = APPLIES[option as OptionPath];
  if (rule === 'reload' || rule.unless?.(before, after) === true) return undefined;
  return rule;
}

function shown(schema: OptionNode, value: unknown): unknown {
  return value === undefined ? undefined : effectiveOption(schema, value);
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function joined(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
