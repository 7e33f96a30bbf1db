import type { Path } from './problem.ts';
import { formatPath } from './problem.ts';
import type { Tree } from './tree.ts';
import { isRecord } from './tree.ts';

/** One option given outside the file. */
export interface Setting {
  readonly path: Path;
  readonly value: unknown;
  /** Who gave it, as the operator knows it: the name of a variable or a flag. */
  readonly source: string;
}

/** A tree under construction: later settings win, and each value remembers who gave it. */
export class Layers {
  #tree: Tree;
  readonly #origins = new Map<string, string>();

  constructor(base: Tree) {
    // The settings change the tree, and the caller keeps its own.
    this.#tree = structuredClone(base);
  }

  get tree(): Tree {
    return this.#tree;
  }

  /** Sections are merged, everything else is replaced. */
  apply(setting: Setting): void {
    if (isRecord(setting.value) && isRecord(this.#at(setting.path))) {
      for (const [key, value] of Object.entries(setting.value))
        this.apply({ ...setting, path: [...setting.path, key], value });
      return;
    }
    this.#put(setting.path, setting.value);
    this.#origins.set(formatPath(setting.path), setting.source);
  }

  /** Who gave the value at `path`, or `undefined` where it stands in the file or nowhere. */
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
      // Something that is no section is a mistake of the file. It stays, to be told.
      if (!fits && held !== undefined && held !== null) return;
      const next = fits ? held : list ? [] : {};
      holder[step] = next;
      holder = next as Tree;
    }
    holder[String(path.at(-1))] = value;
  }
}
