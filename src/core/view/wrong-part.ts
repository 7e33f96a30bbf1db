import { splitPart } from './agreed-config.ts';
import type { ConfigParts } from './config-parts.ts';
import { FAILBACK_EXPECTS, isTimeZone, parseFailback } from './failback.ts';

interface Form {
  /** Completes "must be …". */
  readonly expects: string;
  readonly fits: (value: unknown) => boolean;
}

// Each agent who moves is weighed against each of them.
const MOST_INSTANCES = 200;
const ID = /^[A-Za-z0-9._-]{1,64}$/;

const FLAG: Form = { expects: 'true or false', fits: (value) => typeof value === 'boolean' };

/** The parts by which views are made, and the values that a configuration may give them. */
const OF_POOL: Readonly<Record<string, Form>> = {
  mode: oneOf('failover', 'sticky'),
  quorum: oneOf('majority', 'any', 'all'),
  failback: { expects: `such as {"kind":"never"}, for ${FAILBACK_EXPECTS}`, fits: isFailback },
  quarantine: FLAG,
  countRestarts: FLAG,
  instances: { expects: `a list of 1 to ${MOST_INSTANCES} different ids`, fits: isListOfIds },
};
const OF_INSTANCE: Readonly<Record<string, Form>> = {
  priority: {
    expects: 'a whole number from 1 to 1000',
    fits: (value) => Number.isInteger(value) && isBetween(value, 1, 1_000),
  },
  weight: { expects: 'a number from 0 to 1000', fits: (value) => isBetween(value, 0, 1_000) },
  admin: oneOf('enabled', 'draining', 'disabled'),
  url: {
    expects: 'the URL of an instance',
    fits: (value) => typeof value === 'string' && URL.canParse(value),
  },
};

// These decide under which names agents are known, and make no view.
const NAMES_AGENTS = /^(?:identity|limits|affinity)\.|^(?:anonymous|userNameForm|keyFormat)$/;

/** What is wrong with the parts of a configuration, for people; `undefined` if nothing is. */
export function wrongPart(parts: ConfigParts): string | undefined {
  const { instances } = parts;
  // The other parts are about them.
  if (!isListOfIds(instances)) return problem('instances', OF_POOL['instances'] as Form);
  for (const [part, value] of Object.entries(parts)) {
    const form = formOf(part);
    if (form !== undefined && !form.fits(value)) return problem(part, form);
    const { instance } = splitPart(part);
    if (form !== undefined && instance !== undefined && !instances.includes(instance))
      return `parts.${part} is about an instance that parts.instances does not name; remove it, or add ${instance}`;
  }
  return undefined;
}

/** Names that are not those of parts of this release. Gateways of another release may compare them. */
export function unknownParts(parts: ConfigParts): readonly string[] {
  return Object.keys(parts).filter((part) => formOf(part) === undefined && !NAMES_AGENTS.test(part));
}

function formOf(part: string): Form | undefined {
  const { name, instance } = splitPart(part);
  const forms = instance === undefined ? OF_POOL : OF_INSTANCE;
  return Object.hasOwn(forms, name) ? forms[name] : undefined;
}

function problem(part: string, { expects }: Form): string {
  return `parts.${part} must be ${expects}`;
}

function oneOf(...words: readonly [string, ...string[]]): Form {
  return {
    expects: `one of ${words.join(', ')}`,
    fits: (value) => words.some((word) => word === value),
  };
}

function isBetween(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && value >= least && value <= most;
}

function isListOfIds(value: unknown): value is readonly string[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > MOST_INSTANCES) return false;
  return value.every((id) => typeof id === 'string' && ID.test(id)) && new Set(value).size === value.length;
}

function isFailback(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, time, zone } = value as Readonly<Record<string, unknown>>;
  if (kind !== 'at') return typeof kind === 'string' && parseFailback(kind) !== undefined;
  return parseFailback(`at ${String(time)}`) !== undefined && typeof zone === 'string' && isTimeZone(zone);
}
