import type { ShownState } from './lifecycle.ts';

/** What ICM and Web Dispatcher answer while they run (SAP Note 1968278). */
export const PING_PATH = '/sap/public/icman/ping';
const PAGE = '/publicicp/show_init_statepub.icp';

export interface StateAnswer {
  readonly status: 200 | 503;
  readonly body: string;
}

/** The pages that tell whoever sends the gateway traffic whether he should. */
export class StatePages {
  readonly paths: ReadonlySet<string>;
  readonly #alwaysOk: boolean;

  /** @param prefixes what the paths of the page begin with; none means that neither it nor the ping is answered */
  constructor({ prefixes, alwaysOk }: { readonly prefixes: readonly string[]; readonly alwaysOk: boolean }) {
    this.paths = new Set(
      prefixes.length === 0 ? [] : [PING_PATH, ...prefixes.map((prefix) => `${prefix}${PAGE}`)],
    );
    this.#alwaysOk = alwaysOk;
  }

  /** @param path origin form, query included */
  covers(path: string): boolean {
    const query = path.indexOf('?');
    return this.paths.has(query === -1 ? path : path.slice(0, query));
  }

  /** The state word alone, so that a monitor may compare the whole of it. */
  answer(state: ShownState): StateAnswer {
    return { status: state === 'Running' || this.#alwaysOk ? 200 : 503, body: state };
  }
}
