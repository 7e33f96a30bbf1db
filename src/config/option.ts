import type { TProperties, TSchema, TSchemaOptions } from 'typebox';
import * as Type from 'typebox';
import { LONGEST_TIMER_DAYS } from '../core/longest-timer.ts';
import type { ComputedName } from './computed.ts';
import type { SyntaxName } from './syntax.ts';
import { SYNTAX } from './syntax.ts';
import { DURATION_PATTERN, SIZE_PATTERN } from './units.ts';

// RFC 9110 §5.6.2: names of header fields, and of proxies in `Via`; RFC 6265 §4.1.1: names of cookies.
export const TOKEN = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$";
export const TOKEN_EXPECTS = "a name of letters, digits and !#$%&'*+.^_`|~-";

/** How the text in the file becomes the resolved value. */
export type Unit = 'duration' | 'size' | 'path';

/** Why a change of an option needs a restart; `restarts.ts` has the reasons and their exceptions. */
export type RestartName =
  | 'agentNames'
  | 'bodyPattern'
  | 'clientAddress'
  | 'cluster'
  | 'embeddedStore'
  | 'headerPattern'
  | 'instanceUrl'
  | 'lease'
  | 'listenerTls'
  | 'logons'
  | 'poolMode'
  | 'proxyHeader'
  | 'redis'
  | 'redisUrl'
  | 'replicaName'
  | 'sentinels'
  | 'singleProcess'
  | 'store'
  | 'userElements';

/**
 * `reload`: a change takes effect while workers are replaced one by one. Otherwise the reason why it needs a restart.
 */
export type Applies = 'reload' | RestartName;

/** An option, and how a change of it comes into effect in a running gateway. */
export interface Option<Schema extends TSchema = TSchema> {
  readonly schema: Schema;
  readonly applies: Applies;
}

/**
 * A schema for code that walks over all options. Beside the keywords of JSON Schema
 * it has our own, which TypeBox keeps and ignores.
 */
export interface OptionNode {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly properties?: Readonly<Record<string, OptionNode>>;
  readonly required?: readonly string[];
  readonly items?: OptionNode;
  readonly anyOf?: readonly OptionNode[];
  readonly enum?: readonly string[];
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly description?: string;
  /** The value has a unit, or is a path, and is converted when the file is loaded. */
  readonly unit?: Unit;
  /** Bounds of a value with a unit, as text with a unit. */
  readonly atLeast?: string;
  readonly atMost?: string;
  /** A check that a JSON Schema pattern cannot express. */
  readonly syntax?: SyntaxName;
  /** Completes "must be …"; needed only if `syntax` and the type do not. */
  readonly expects?: string;
  /** Set if the default depends on other options or on the environment. */
  readonly computed?: ComputedName;
  /** A plain text stands for a section with just this option. */
  readonly shorthand?: string;
  /** How a change comes into effect; every option has it, and every section that may be left out. */
  readonly applies?: Applies;
  /** Never quoted in messages, and masked when printed: the whole value, or the password in a URL. */
  readonly secret?: 'value' | 'url';
}

interface Bounds {
  readonly default?: string;
  readonly computed?: ComputedName;
  readonly atLeast?: string;
  readonly atMost?: string;
}

// A section that cannot be left out does not change as a whole; only its options do.
type RequiredSection = TSchema & {
  readonly type: 'object';
  readonly properties: TProperties;
  readonly '~optional'?: never;
};
type Members = Readonly<Record<string, Option | RequiredSection>>;
type SchemasOf<M extends Members> = {
  -readonly [Key in keyof M]: M[Key] extends Option<infer Schema> ? Schema : M[Key];
};

/** The type refuses an option without {@link reload} or {@link restart}. */
export function section<M extends Members>(description: string, members: M) {
  const schemas = Object.entries(members).map(([key, member]) => [key, schemaOf(member)]);
  return entry(description, Object.fromEntries(schemas) as SchemasOf<M>);
}

function schemaOf(member: Option | RequiredSection): TSchema {
  return isOption(member) ? Object.assign(member.schema, { applies: member.applies }) : member;
}

function isOption(member: Option | RequiredSection): member is Option {
  return 'applies' in member;
}

/** A section in a list that changes only as a whole: its options say nothing about reload or restart. */
export function entry<Properties extends TProperties>(description: string, properties: Properties) {
  return Type.Object(properties, { additionalProperties: false, description });
}

/** An option that a reload can change. */
export function reload<Schema extends TSchema>(schema: Schema): Option<Schema> {
  return { schema, applies: 'reload' };
}

/** An option whose change needs a restart: old and new workers must not use different values at the same time. */
export function restart<Schema extends TSchema>(applies: RestartName, schema: Schema): Option<Schema> {
  return { schema, applies };
}

export function duration(description: string, bounds: Bounds = {}) {
  return Type.Unsafe<number>({
    type: 'string',
    pattern: DURATION_PATTERN,
    unit: 'duration',
    atLeast: '1ms',
    atMost: `${LONGEST_TIMER_DAYS}d`,
    ...bounds,
    description,
  });
}

export function size(description: string, bounds: Bounds = {}) {
  return Type.Unsafe<number>({
    anyOf: [
      { type: 'string', pattern: SIZE_PATTERN },
      { type: 'integer', minimum: 0 },
    ],
    unit: 'size',
    ...bounds,
    description,
  });
}

/** A file or directory. Relative ones are relative to the configuration file that names them. */
export function path(description: string, options: TSchemaOptions = {}) {
  return Type.String({ minLength: 1, unit: 'path', ...options, description });
}

export function text(description: string, options: TSchemaOptions = {}) {
  return Type.String({ minLength: 1, ...options, description });
}

/** Text that must follow a syntax of {@link SYNTAX}. */
export function written(syntax: SyntaxName, description: string, options: TSchemaOptions = {}) {
  return Type.String({ minLength: 1, syntax, expects: SYNTAX[syntax].expects, ...options, description });
}

export function flag(description: string, value: boolean) {
  return Type.Boolean({ default: value, description });
}

export function count(description: string, minimum: number, maximum: number, value: number) {
  return Type.Integer({ minimum, maximum, default: value, description });
}

export function choice<const Values extends string[]>(
  values: readonly [...Values],
  description: string,
  options: { readonly default?: Values[number]; readonly computed?: ComputedName },
) {
  return Type.Unsafe<Values[number]>({ type: 'string', enum: [...values], ...options, description });
}
