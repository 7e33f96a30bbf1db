import { parseDocument } from 'yaml';
import type { Environment } from './computed.ts';
import type { OptionNode } from './option.ts';
import type { Problem } from './problem.ts';
import { formatPath, nearest } from './problem.ts';
import type { Setting } from './settings.ts';
import { isRecord } from './tree.ts';

const PREFIX = 'ICI_GATEWAY_';

/** Names the configuration file where `--config` does not. */
export const CONFIG_VARIABLE = 'ICI_GATEWAY_CONFIG';

/**
 * What Kubernetes puts into every container for a Service of our name:
 * `…_SERVICE_HOST`, `…_PORT_8080_TCP_ADDR` and their like. An operator did not
 * write them, and no option is named so: options have `__` between levels.
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
 * Reads `ICI_GATEWAY_TIMEOUTS__PARK=3s` and the like: levels are separated by
 * `__`, list positions are numbers from 0, values are YAML. `base` is what the
 * file says; the lists in it tell which positions exist.
 */
export function readEnvironment(options: OptionNode, env: Environment, base: unknown): FromEnvironment {
  const settings: Setting[] = [];
  const problems: Problem[] = [];
  const fresh = new Map<string, number>();
  // In the order of positions, so that a list can grow by one entry at a time.
  const names = Object.keys(env).filter((name) => name.startsWith(PREFIX) && name !== CONFIG_VARIABLE);
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
        message: `is no valid YAML: ${error.code}`,
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
        return { message: `has ${step} where a position in a list stands; the next free one is ${length}` };
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

/** Of an option that can be written short, the long form. */
function sectionOf(node: OptionNode): OptionNode {
  return node.anyOf?.find((one) => one.type === 'object') ?? node;
}

function unknownVariable(
  spelled: string,
  step: string,
  known: readonly string[],
  rest: readonly string[],
): string {
  if (known.length === 0) return `is no option; ${spelled.slice(0, -2)} has no options of its own`;
  const near = nearest(step, known);
  if (near !== undefined) return `is no option; did you mean ${spelled}${[near, ...rest].join('__')}?`;
  return `is no option; after ${spelled} can stand: ${known.join(', ')}`;
}

/** `requestIdHeader` → `REQUEST_ID_HEADER`. */
function upperSnake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
