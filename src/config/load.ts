import { readFileSync } from 'node:fs';
import { dirname, resolve as resolvePath } from 'node:path';
import { runChecks } from './checks.ts';
import type { Environment } from './computed.ts';
import { readEnvironment } from './environment.ts';
import type { Finding, Path, Problem } from './problem.ts';
import { ConfigInvalid, formatPath } from './problem.ts';
import { resolve } from './resolve.ts';
import type { Config } from './schema.ts';
import { OPTIONS } from './schema.ts';
import { reasonOf } from './secrets.ts';
import type { Setting } from './settings.ts';
import { Layers } from './settings.ts';
import { rememberSources } from './shown-options.ts';
import type { Source } from './source.ts';
import { readSource } from './source.ts';
import type { Tree } from './tree.ts';
import { deepFreeze, isRecord } from './tree.ts';

export interface OverlayResult {
  readonly settings: readonly Setting[];
  readonly problems?: readonly Problem[];
}

/** The topmost layer. It gets the options of file and environment, because a flag may mean "the only pool". */
export type Overlay = (given: Tree) => OverlayResult;

export interface LoadInput {
  /** The configuration file. Also names `text` in messages. */
  readonly file?: string | undefined;
  /** Instead of the content of `file`. */
  readonly text?: string;
  readonly env: Environment;
  readonly overlay?: Overlay;
}

export interface Loaded {
  readonly config: Config;
  /** Dubious options that do not prevent a start. */
  readonly warnings: readonly Problem[];
}

/**
 * Builds the configuration from defaults, file, environment and flags; later ones override earlier ones.
 * Throws {@link ConfigInvalid} with all problems.
 */
export function loadConfig({ file, text, env, overlay }: LoadInput): Loaded {
  const source = readFrom(file, text);
  const problems: Problem[] = source === undefined ? [] : textProblems(source);
  if (source !== undefined && source.tree === undefined) throw new ConfigInvalid(problems);
  if (source !== undefined && !isRecord(source.tree)) {
    const message = 'must be a section with options such as pools, not a single value or a list';
    throw new ConfigInvalid([{ path: '', source: source.name, line: 1, column: 1, message }]);
  }

  const layers = new Layers(isRecord(source?.tree) ? source.tree : {});
  const fromEnvironment = readEnvironment(OPTIONS, env, layers.tree);
  problems.push(...fromEnvironment.problems);
  for (const setting of fromEnvironment.settings) layers.apply(setting);
  const fromFlags = overlay?.(layers.tree);
  problems.push(...(fromFlags?.problems ?? []));
  for (const setting of fromFlags?.settings ?? []) layers.apply(setting);

  const directory = file === undefined ? process.cwd() : dirname(resolvePath(file));
  const resolved = resolve(OPTIONS, layers.tree, {
    env,
    baseOf: (path) => (layers.originOf(path) === undefined ? directory : process.cwd()),
  });
  const errors = [...resolved.findings];
  const warnings: Finding[] = [];
  // A rule runs only if the options that it reads have no problem, so they have the type of Config.
  const config = resolved.value as Config;
  runChecks(
    {
      config,
      given: (path) => isGiven(layers.tree, path),
      fileOf: (path) =>
        isGiven(layers.tree, path) && layers.originOf(path) === undefined ? file : undefined,
      error: (path, message) => errors.push({ path, message }),
      warn: (path, message) => warnings.push({ path, message }),
    },
    // An unknown name does not affect other options.
    resolved.findings.filter((finding) => finding.atKey !== true),
  );

  const located = (finding: Finding) => locate(finding, layers, source);
  problems.push(...errors.map(located));
  if (problems.length > 0) throw new ConfigInvalid(inReadingOrder(problems));
  rememberSources(config, (path) => sourceOf(path, layers, source));
  return { config: deepFreeze(config), warnings: inReadingOrder(warnings.map(located)) };
}

function readFrom(file: string | undefined, text: string | undefined): Source | undefined {
  if (text !== undefined) return readSource(file ?? 'configuration', text);
  if (file === undefined) return undefined;
  try {
    return readSource(file, readFileSync(file, 'utf8'));
  } catch (error) {
    const message = `cannot be read: ${reasonOf(error)}; set the path of the configuration file with --config`;
    throw new ConfigInvalid([{ path: '', source: file, message }]);
  }
}

function textProblems(source: Source): Problem[] {
  return source.findings.map(({ path, message, position }) => ({
    path: formatPath(path),
    source: source.name,
    ...position,
    message,
  }));
}

function locate(
  { path, message, atKey = false }: Finding,
  layers: Layers,
  source: Source | undefined,
): Problem {
  const problem = { path: formatPath(path), message };
  const origin = layers.originOf(path);
  if (origin !== undefined) return { ...problem, source: origin };
  if (source === undefined) return problem;
  return { ...problem, source: source.name, ...source.positionOf(path, atKey) };
}

/** `undefined` if nothing sets the option, nor a text that stands for the section around it. */
function sourceOf(path: Path, layers: Layers, source: Source | undefined): string | undefined {
  const origin = layers.originOf(path);
  if (origin !== undefined) return origin;
  if (source === undefined || !isGivenInSome(layers.tree, path)) return undefined;
  return `${source.name}:${source.positionOf(path, true).line}`;
}

function isGivenInSome(tree: Tree, path: Path): boolean {
  let value: unknown = tree;
  for (const step of path) {
    if (!isRecord(value) && !Array.isArray(value)) return value !== undefined && value !== null;
    value = (value as Tree)[step];
  }
  return value !== undefined;
}

function isGiven(tree: Tree, path: Path): boolean {
  let value: unknown = tree;
  for (const step of path)
    value = isRecord(value) || Array.isArray(value) ? (value as Tree)[step] : undefined;
  return value !== undefined;
}

/** In the order of the file; problems outside the file come first. */
function inReadingOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}
