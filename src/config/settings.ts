import type { Path } from './problem.ts';
import { formatPath } from './problem.ts';
import type { Tree } from './tree.ts';
import { isRecord } from './tree.ts';

/** One option given outside the file. */
export interface Setting {
  readonly path: Path;
  readonly value: unknown;
  /** Where it comes from: the name of a variable or a flag. */
  readonly source: string;
}

/** A tree under construction: later settings override earlier ones, and each value remembers its source. */
export class Layers {
  #tree: Tree;
  readonly #origins = new Map<string, string>();

  constructor(base: Tree) {
    // Settings change the tree, so work on a copy.
    this.#tree = structuredClone(base);
  }

  get tree(): Tree {
    return this.#tree;
  }

  /** Merges sections and replaces everything else. */
  apply(setting: Setting): void {
    if (isRecord(setting.value) && isRecord(this.#at(setting.path))) {
      for (const [key, value] of Object.entries(setting.value))
        this.apply({ ...setting, path: [...setting.path, key], value });
      return;
    }
    this.#put(setting.path, setting.value);
    this.#origins.set(formatPath(setting.path), setting.source);
  }

  /** The source of the value at `path`, or `undefined` if it is from the file or not set. */
  originOf(path: Path): string | undefined {
    for (let length = path.length; length > 0; length--) {
      const origin = this.#origins.get(formatPath(path.slice(0, length)));
      if (origin !== undefined) return origin;
    }
    return undefined;
  }

  #at(path: Path): unknown {
    let value: unknown = this.#tree;
    for (const step of path)
      value = isRecord(value) || Array.isArray(value) ? (value as Tree)[step] : undefined;
    return value;
  }

  #put(path: Path, value: unknown): void {
    if (path.length === 0) {
      if (isRecord(value)) this.#tree = value;
      return;
    }
    let holder: Tree = this.#tree;
    for (const [depth, step] of path.slice(0, -1).entries()) {
      const held = holder[step];
      const list = typeof path[depth + 1] === 'number';
      const fits = list ? Array.isArray(held) : isRecord(held);
      // A value that is not a section is a mistake in the file. Keep it, so that it is reported.
      if (!fits && held !== undefined && held !== null) return;
      const next = fits ? held : list ? [] : {};
      holder[step] = next;
      holder = next as Tree;
    }
    holder[String(path.at(-1))] = value;
  }
}
