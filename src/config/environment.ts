import { parseDocument } from 'yaml';
import type { Environment } from './computed.ts';
import type { OptionNode } from './option.ts';
import type { Problem } from './problem.ts';
import { formatPath, nearest } from './problem.ts';
import type { Setting } from './settings.ts';
import { isRecord } from './tree.ts';
import { ADMIN_URL_VARIABLE, CONFIG_VARIABLE } from './variables.ts';

const PREFIX = 'ICI_GATEWAY_';

/** They begin like options and are none. */
const NO_OPTIONS: ReadonlySet<string> = new Set([CONFIG_VARIABLE, ADMIN_URL_VARIABLE]);

/**
 * Variables that Kubernetes sets in every container if a Service has our name, such as
 * `…_SERVICE_HOST` and `…_PORT_8080_TCP_ADDR`. They are not from the operator, and
 * no option has such a name: options have `__` between levels.
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
const SERVICE_LINK =
  /^(?!.*__)[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
const SERVICE_ADDRESS = /^(tcp|udp|sctp):\/\//;

export interface FromEnvironment {
  readonly settings: readonly Setting[];
  readonly problems: readonly Problem[];
}

/**
 * Reads variables such as `ICI_GATEWAY_TIMEOUTS__PARK=3s`: levels are separated by
 * `__`, list positions are numbers from 0, values are YAML. `base` is the content of the
 * file; its lists determine which positions exist.
 */
export function readEnvironment(options: OptionNode, env: Environment, base: unknown): FromEnvironment {
  const settings: Setting[] = [];
  const problems: Problem[] = [];
  const fresh = new Map<string, number>();
  // Sorted by position, so that a list grows by one entry at a time.
  const names = Object.keys(env).filter((name) => name.startsWith(PREFIX) && !NO_OPTIONS.has(name));
  names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));

  for (const name of names) {
    const text = env[name];
    if (text === undefined || isServiceLink(name, text)) continue;
    const found = findOption(options, name, base, fresh);
    if ('message' in found) {
      problems.push({ path: '', source: name, message: found.message });
      continue;
    }
    const document = parseDocument(text, { version: '1.2' });
    const [error] = document.errors;
    if (error === undefined) settings.push({ path: found.path, value: document.toJS(), source: name });
    else
      problems.push({
        path: formatPath(found.path),
        source: name,
        message: `is not valid YAML: ${error.code}`,
      });
  }
  return { settings, problems };
}

function isServiceLink(name: string, value: string): boolean {
  return SERVICE_LINK.test(name) || (name.endsWith('_PORT') && SERVICE_ADDRESS.test(value));
}

type Found = { readonly path: (string | number)[] } | { readonly message: string };

function findOption(options: OptionNode, name: string, base: unknown, fresh: Map<string, number>): Found {
  const path: (string | number)[] = [];
  let node = sectionOf(options);
  let value = base;
  let spelled = PREFIX;
  const steps = name.slice(PREFIX.length).split('__');
  for (const [depth, step] of steps.entries()) {
    if (node.type === 'array') {
      const length = Math.max(Array.isArray(value) ? value.length : 0, fresh.get(formatPath(path)) ?? 0);
      const index = /^[0-9]{1,6}$/.test(step) ? Number(step) : Number.NaN;
      if (!(index <= length))
        return { message: `has ${step} instead of a position in a list; the next free one is ${length}` };
      fresh.set(formatPath(path), Math.max(length, index + 1));
      path.push(index);
      value = Array.isArray(value) ? value[index] : undefined;
      node = sectionOf(node.items ?? {});
      spelled += `${step}__`;
      continue;
    }
    const known = new Map(Object.keys(node.properties ?? {}).map((key) => [upperSnake(key), key]));
    const key = known.get(step);
    if (key === undefined)
      return { message: unknownVariable(spelled, step, [...known.keys()], steps.slice(depth + 1)) };
    path.push(key);
    value = isRecord(value) ? value[key] : undefined;
    node = sectionOf(node.properties?.[key] ?? {});
    spelled += `${step}__`;
  }
  return { path };
}

/** The section form of an option that has a short form too. */
function sectionOf(node: OptionNode): OptionNode {
  return node.anyOf?.find((one) => one.type === 'object') ?? node;
}

function unknownVariable(
  spelled: string,
  step: string,
  known: readonly string[],
  rest: readonly string[],
): string {
  if (known.length === 0) return `is not an option; ${spelled.slice(0, -2)} has no options below it`;
  const near = nearest(step, known);
  if (near !== undefined) return `is not an option; did you mean ${spelled}${[near, ...rest].join('__')}?`;
  return `is not an option; after ${spelled} use one of: ${known.join(', ')}`;
}

/** `requestIdHeader` → `REQUEST_ID_HEADER`. */
function upperSnake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
