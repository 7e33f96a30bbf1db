import { resolve as resolvePath } from 'node:path';
import type { TSchema } from 'typebox';
import { Check } from 'typebox/schema';
import type { Environment } from './computed.ts';
import { COMPUTED } from './computed.ts';
import { conversionOf, describe, expectation } from './expectation.ts';
import type { OptionNode } from './option.ts';
import type { Finding, Path } from './problem.ts';
import { nearest } from './problem.ts';
import { SYNTAX } from './syntax.ts';
import type { Tree } from './tree.ts';
import { isRecord } from './tree.ts';

export interface ResolveContext {
  readonly env: Environment;
  /** The directory that a relative file name at this path is relative to. */
  baseOf(path: Path): string;
}

export interface Resolved {
  /** Has the type of the schema if there are no findings. */
  readonly value: unknown;
  readonly findings: readonly Finding[];
}

/**
 * Resolves a configuration: fills in defaults, checks every
 * value against its schema, converts values with units. Continues after a problem
 * to find all of them; a value with a problem resolves to `undefined`.
 */
export function resolve(schema: OptionNode, written: unknown, context: ResolveContext): Resolved {
  const findings: Finding[] = [];
  const value = new Resolver(context, findings).node(schema, written, []);
  return { value, findings };
}

class Resolver {
  readonly #context: ResolveContext;
  readonly #findings: Finding[];

  constructor(context: ResolveContext, findings: Finding[]) {
    this.#context = context;
    this.#findings = findings;
  }

  node(schema: OptionNode, value: unknown, path: Path): unknown {
    if (schema.shorthand !== undefined) return this.#shorthand(schema, schema.shorthand, value, path);
    if (schema.type === 'object') return this.#section(schema, value, path);
    if (schema.type === 'array') return this.#list(schema, value, path);
    return this.#leaf(schema, value, path);
  }

  #section(schema: OptionNode, value: unknown, path: Path): unknown {
    // A section whose options are all commented out reads as null.
    const given = value ?? {};
    if (!isRecord(given)) return this.#wrong(path, schema, value);

    const properties = schema.properties ?? {};
    for (const key of Object.keys(given)) {
      if (!Object.hasOwn(properties, key)) this.#unknown(path, key, Object.keys(properties));
    }
    const resolved: Tree = {};
    for (const [key, option] of Object.entries(properties)) {
      const member = this.#member(schema, option, given, [...path, key]);
      if (member !== undefined) resolved[key] = member;
    }
    return resolved;
  }

  #member(schema: OptionNode, option: OptionNode, around: Tree, path: Path): unknown {
    const key = String(path.at(-1));
    if (Object.hasOwn(around, key)) return this.node(option, around[key], path);
    if (option.default !== undefined) return this.node(option, option.default, path);
    if (option.computed !== undefined) {
      const value = COMPUTED[option.computed].compute({ path, around, env: this.#context.env });
      return this.node(option, value, path);
    }
    if (!schema.required?.includes(key)) return undefined;
    if (option.type === 'object') return this.node(option, {}, path);
    return this.#say(path, `is missing; it must be ${expectation(option)}`);
  }

  #list(schema: OptionNode, value: unknown, path: Path): unknown {
    if (!Array.isArray(value)) return this.#wrong(path, schema, value);
    const items = schema.items ?? {};
    const resolved = value.map((item, index) => this.node(items, item, [...path, index]));
    if (value.length < (schema.minItems ?? 0))
      return this.#say(path, `must have at least ${schema.minItems} entry: ${expectation(items)}`);
    if (schema.uniqueItems === true) {
      for (const [index, item] of resolved.entries()) {
        if (item !== undefined && resolved.indexOf(item) < index)
          this.#say([...path, index], `${describe(item)} is listed twice; remove one of them`);
      }
    }
    return resolved;
  }

  #shorthand(schema: OptionNode, option: string, value: unknown, path: Path): unknown {
    const full = schema.anyOf?.find((one) => one.type === 'object');
    const short = schema.anyOf?.find((one) => one.type === 'string');
    if (full === undefined || short === undefined || isRecord(value))
      return this.node(full ?? {}, value, path);
    const text = this.node(short, value, path);
    return text === undefined ? undefined : { [option]: text };
  }

  #leaf(schema: OptionNode, value: unknown, path: Path): unknown {
    if (!Check(schema as TSchema, value)) return this.#wrong(path, schema, value);
    // A status may be written as a number.
    const text = String(value);
    if (schema.syntax !== undefined) {
      const reading = SYNTAX[schema.syntax].read(text);
      if ('value' in reading) return reading.value;
      return this.#say(
        path,
        schema.secret === undefined ? `${reading.problem}; it is ${describe(value)}` : reading.problem,
      );
    }
    if (schema.unit === 'path') return resolvePath(this.#context.baseOf(path), text);

    const conversion = conversionOf(schema);
    if (conversion === undefined) return value;
    const amount = conversion.parse(text);
    const least = schema.atLeast === undefined ? undefined : conversion.parse(schema.atLeast);
    const most = schema.atMost === undefined ? undefined : conversion.parse(schema.atMost);
    if (amount === undefined || amount < (least ?? 0) || amount > (most ?? Number.MAX_SAFE_INTEGER))
      return this.#wrong(path, schema, value);
    return amount;
  }

  #unknown(path: Path, key: string, known: readonly string[]): void {
    const near = nearest(key, known);
    const remedy = near === undefined ? `options here: ${known.join(', ')}` : `did you mean "${near}"?`;
    this.#findings.push({ path: [...path, key], message: `is not an option; ${remedy}`, atKey: true });
  }

  #wrong(path: Path, schema: OptionNode, value: unknown): undefined {
    if (value === null || value === undefined)
      return this.#say(path, `is empty; it must be ${expectation(schema)}; set it, or remove the line`);
    const shown = schema.secret === undefined ? `is ${describe(value)}${remedyFor(schema, value)}` : 'is not';
    return this.#say(path, `must be ${expectation(schema)}, but ${shown}`);
  }

  #say(path: Path, message: string): undefined {
    this.#findings.push({ path, message });
    return undefined;
  }
}

/** YAML reads `07` as the number 7. A text that is refused next is no remedy. */
function quotedRemedy({ pattern }: OptionNode, text: string): string {
  const fits = (candidate: string): boolean =>
    pattern === undefined || new RegExp(pattern, 'u').test(candidate);
  const candidate = [text, `0${text}`].find(fits);
  return candidate === undefined ? '' : `; write it in quotes: "${candidate}"`;
}

/** The most likely correction. */
function remedyFor(schema: OptionNode, value: unknown): string {
  if (schema.enum !== undefined) {
    const near = typeof value === 'string' ? nearest(value, schema.enum) : undefined;
    return near === undefined ? '' : `; did you mean "${near}"?`;
  }
  const scalar = typeof value === 'number' || typeof value === 'boolean';
  if (schema.unit === 'duration' && typeof value === 'number') return `; write "${value}ms" or "${value}s"`;
  if (schema.type === 'string' && schema.unit === undefined && scalar)
    return quotedRemedy(schema, `${value}`);
  if (schema.type === 'array' && typeof value === 'string') return `; write ["${value}"]`;
  return '';
}
