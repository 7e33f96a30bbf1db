import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { AgreedView } from '../core/view/agreed-view.ts';
import type { Policy } from '../core/view/policy.ts';
import type { Knowledge } from '../core/view/replica-options.ts';

export interface AgreementFileOptions {
  readonly path: string;
  readonly pool: string;
  readonly keyPrefix: string;
}

interface Content extends Knowledge {
  readonly format: number;
  readonly pool: string;
  readonly keyPrefix: string;
}

const FORMAT = 1;

/** The newest view and policy of a pool that the gateways agreed on, in a file that each change replaces. */
export class AgreementFile {
  readonly #options: AgreementFileOptions;
  #view: AgreedView | undefined;
  #policy: Policy | undefined;

  constructor(options: AgreementFileOptions) {
    this.#options = options;
  }

  get path(): string {
    return this.#options.path;
  }

  /** Writes them, if they differ from those that were written last. A crash leaves the old or the new content. */
  async save({ agreed, policy }: Knowledge): Promise<void> {
    if (agreed === this.#view && policy === this.#policy) return;
    const { path, pool, keyPrefix } = this.#options;
    const content: Content = { format: FORMAT, pool, keyPrefix, agreed, policy };
    const draft = `${path}.new`;
    try {
      const file = await open(draft, 'w', 0o600);
      try {
        await file.writeFile(JSON.stringify(content));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
      const directory = await open(dirname(path), 'r');
      await directory.sync().finally(() => directory.close());
    } catch (error) {
      await rm(draft, { force: true }).catch(() => undefined);
      throw error;
    }
    this.#view = agreed;
    this.#policy = policy;
  }

  /** What the file holds; `undefined` if there is none. @throws Error if it cannot be used */
  async load(): Promise<Knowledge | undefined> {
    const { path, pool, keyPrefix } = this.#options;
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const content = JSON.parse(text) as Partial<Content> | null;
    const { agreed, policy } = content ?? {};
    if (content?.format !== FORMAT || typeof agreed?.instances !== 'object' || policy === undefined)
      throw new Error('it is no snapshot that this release can read');
    if (content.pool !== pool || content.keyPrefix !== keyPrefix)
      throw new Error(`it is of pool ${content.pool} with the key prefix ${content.keyPrefix}`);
    return { agreed, policy };
  }
}
