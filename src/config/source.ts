import type { Document, Node, Pair, YAMLError } from 'yaml';
import { isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Finding, Path } from './problem.ts';

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A configuration file: its values and their positions. */
export interface Source {
  readonly name: string;
  /** `undefined` if the text is not YAML. */
  readonly tree: unknown;
  /** Problems of the text itself. */
  readonly findings: readonly (Finding & { readonly position: Position })[];
  /** The position of the option at `path`, or of the nearest section around it that is in the file. */
  positionOf(path: Path, atKey: boolean): Position;
}

export function readSource(name: string, text: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, { version: '1.2', lineCounter: lines, prettyErrors: false });
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const findings = document.errors.map((error) => ({
    ...explain(error, document),
    position: positionAt(error.pos[0]),
  }));
  return {
    name,
    tree: treeOf(document, findings, positionAt),
    findings,
    positionOf: (path, atKey) => positionAt(locate(document, path, atKey)),
  };
}

function treeOf(
  document: Document,
  findings: (Finding & { position: Position })[],
  positionAt: (offset: number) => Position,
): unknown {
  // With a duplicate key the rest is still readable, so its problems can be reported too.
  if (document.errors.some((error) => error.code !== 'DUPLICATE_KEY')) return undefined;
  try {
    return document.toJS() ?? {};
  } catch (error) {
    // The library refuses unresolved aliases, and aliases that expand without limit.
    findings.push({ path: [], message: (error as Error).message, position: positionAt(0) });
    return undefined;
  }
}

function explain(error: YAMLError, document: Document): Finding {
  if (error.code !== 'DUPLICATE_KEY') return { path: [], message: `is not valid YAML: ${error.message}` };
  return {
    path: pathAt(document, error.pos[0]),
    message: 'occurs twice in the same section; remove one of them',
  };
}

/** The path of the pair whose key starts at the offset. */
function pathAt(document: Document, offset: number): Path {
  let found: Path = [];
  visit(document, {
    Pair(_, pair, ancestors) {
      if (!isNode(pair.key) || pair.key.range?.[0] !== offset) return undefined;
      found = [...stepsOf(ancestors), keyOf(pair)];
      return visit.BREAK;
    },
  });
  return found;
}

function stepsOf(ancestors: readonly unknown[]): Path {
  const steps: (string | number)[] = [];
  for (const [depth, ancestor] of ancestors.entries()) {
    const below = ancestors[depth + 1];
    if (isPair(ancestor)) steps.push(keyOf(ancestor));
    if (isSeq(ancestor) && below !== undefined) steps.push(ancestor.items.indexOf(below));
  }
  return steps;
}

function keyOf(pair: Pair): string {
  return String(isScalar(pair.key) ? pair.key.value : pair.key);
}

function locate(document: Document, path: Path, atKey: boolean): number {
  let node: Node | null = document.contents;
  let offset = startOf(node);
  for (const [depth, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document) ?? null;
    const last = depth === path.length - 1;
    let next: unknown;
    if (isMap(node)) {
      const pair: Pair | undefined = node.items.find((one) => keyOf(one) === step);
      if (pair === undefined) return offset;
      if (isNode(pair.key)) offset = startOf(pair.key);
      if (last && atKey) return offset;
      next = pair.value;
    } else if (isSeq(node) && typeof step === 'number') {
      next = node.items[step];
    }
    if (!isNode(next)) return offset;
    node = next;
    // The position of an empty value does not help.
    if (!isScalar(node) || node.value !== null) offset = startOf(node);
  }
  return offset;
}

function startOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}
