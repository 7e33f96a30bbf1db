import { isDeepStrictEqual } from 'node:util';
import { effectiveOption } from './effective.ts';
import type { Applies, OptionNode } from './option.ts';
import type { Rebinds, Restart } from './restarts.ts';
import { RESTARTS } from './restarts.ts';
import type { Config } from './schema.ts';
import { OPTIONS } from './schema.ts';
import { isRecord } from './tree.ts';

/** One option, section or list entry that differs between two configurations. */
export interface Change {
  /** Pools by name and instances by id, such as `pools[ici].instances[b].weight`. */
  readonly path: string;
  /** As in a configuration file, with secrets masked; `undefined` if it was added. */
  readonly before: unknown;
  readonly after: unknown;
  /** `restart`: all processes must end before a process may start with the change. */
  readonly applies: 'reload' | 'restart';
  /** Why it needs a restart, or why it needs none although other changes of the option do; else `undefined`. */
  readonly because: string | undefined;
  /** Set if bindings do not survive the restart. */
  readonly rebinds: Rebinds | undefined;
}

/** What a reload would do. */
export interface Reload {
  readonly changes: readonly Change[];
  /** Why it is refused: one line for each change that a reload cannot make. Empty if it is accepted. */
  readonly refused: readonly string[];
}

interface Difference {
  readonly path: string;
  readonly schema: OptionNode;
  /**
   * How a change takes effect, as the schema says; `undefined` for a required section. An entry has that of its list.
   */
  readonly applies: Applies | undefined;
  readonly before: unknown;
  readonly after: unknown;
}

/** All differences, in the order of the reference; removed entries come after the others. */
export function changesBetween(before: Config, after: Config): Change[] {
  return [...sectionDifferences(OPTIONS, before, after, '')].map((difference) => {
    const { path, schema } = difference;
    const obstacle = obstacleTo(difference, before, after);
    const isFree = obstacle === undefined || typeof obstacle === 'string';
    return {
      path,
      before: shown(schema, difference.before),
      after: shown(schema, difference.after),
      applies: isFree ? 'reload' : 'restart',
      because: isFree ? obstacle : obstacle.because,
      rebinds: isFree ? undefined : obstacle.rebinds,
    };
  });
}

/** Whether a gateway can change from `before` to `after` without a restart. A reload makes all changes or none. */
export function reloadable(before: Config, after: Config): Reload {
  const changes = changesBetween(before, after);
  const refused = changes.flatMap(({ path, applies, because }) =>
    applies === 'reload' ? [] : [`${path} needs a restart, because ${because}`],
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
): Generator<Difference> {
  for (const [key, member] of Object.entries(schema.properties ?? {})) {
    const [was, is] = [before, after].map((section) => (section as Record<string, unknown>)[key]);
    yield* differences({
      path: path === '' ? key : `${path}.${key}`,
      schema: member,
      applies: member.applies,
      before: was,
      after: is,
    });
  }
}

function* differences(difference: Difference): Generator<Difference> {
  const { path, schema, applies, before, after } = difference;
  // Resolved values are equal even if the files use different units.
  if (isDeepStrictEqual(before, after)) return;
  if (schema.type === 'object' && isRecord(before) && isRecord(after)) {
    yield* sectionDifferences(schema, before, after, path);
  } else if (isListOfSections(schema, before) && isListOfSections(schema, after)) {
    const were = byName(before);
    const are = byName(after);
    for (const name of new Set([...are.keys(), ...were.keys()])) {
      yield* differences({
        path: `${path}[${name}]`,
        schema: schema.items ?? {},
        applies,
        before: were.get(name),
        after: are.get(name),
      });
    }
  } else {
    yield difference;
  }
}

function isListOfSections(schema: OptionNode, value: unknown): value is readonly object[] {
  if (schema.items?.type !== 'object' || !Array.isArray(value)) return false;
  // Entries without a key, such as patterns, are told as a whole list: their order matters.
  return value.every((entry) => keyOf(entry as Entry) !== undefined);
}

/** By the key of an entry: `name` of a pool, `id` of an instance. */
function byName(entries: readonly Entry[]): Map<string, object> {
  return new Map(entries.map((entry) => [String(keyOf(entry)), entry]));
}

interface Entry {
  readonly id?: string;
  readonly name?: string;
}

function keyOf({ id, name }: Entry): string | undefined {
  return name ?? id;
}

/** A text says why there is none, where there mostly is one. */
function obstacleTo(
  { path, applies }: Difference,
  before: Config,
  after: Config,
): Restart | string | undefined {
  if (applies === undefined) throw new Error(`the schema does not say how a change of ${path} applies`);
  if (applies === 'reload') return undefined;
  const restart = RESTARTS[applies];
  const unless = restart.unless?.(before, after) ?? false;
  if (typeof unless === 'string') return unless;
  return unless ? undefined : restart;
}

function shown(schema: OptionNode, value: unknown): unknown {
  return value === undefined ? undefined : effectiveOption(schema, value);
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
