import type { ShownState } from './lifecycle.ts';

/** What ICM and Web Dispatcher answer while they run (SAP Note 1968278). */
export const PING_PATH = '/sap/public/icman/ping';
const PAGE = '/publicicp/show_init_statepub.icp';

export interface StateAnswer {
  readonly status: 200 | 503;
  readonly body: string;
}

/** The pages that tell a load balancer or monitor whether to send traffic to the gateway. */
export class StatePages {
  /** What {@link covers} finds without normalising a path. */
  readonly paths: ReadonlySet<string>;
  readonly #alwaysOk: boolean;

  /** @param prefixes of the page's paths; if empty, neither the page nor the ping is answered */
  constructor({ prefixes, alwaysOk }: { readonly prefixes: readonly string[]; readonly alwaysOk: boolean }) {
    this.paths = new Set(
      prefixes.length === 0 ? [] : [PING_PATH, ...prefixes.map((prefix) => normalised(`${prefix}${PAGE}`))],
    );
    this.#alwaysOk = alwaysOk;
  }

  /** @param path origin form, query included */
  covers(path: string): boolean {
    const query = path.indexOf('?');
    return this.paths.has(normalised(query === -1 ? path : path.slice(0, query)));
  }

  /** Only the state word, so that a monitor can compare the whole body. */
  answer(state: ShownState): StateAnswer {
    return { status: state === 'Running' || this.#alwaysOk ? 200 : 503, body: state };
  }
}

// Letters, digits, "-", ".", "_" and "~".
const ENCODED_UNRESERVED = /%(?:2[de]|3[0-9]|[46][1-9a-f]|[57][0-9a]|5f|7e)/gi;
const PARAMETERS = /;[^/]*/g;

/**
 * Percent-encoding these characters does not change a path (RFC 3986 §6.2.2.2). Neither do parameters after a
 * segment, for SAP, whose clients send sessions there (`;sap-ext-sid=…`), and for Java servers. An instance may
 * accept such a path.
 */
function normalised(path: string): string {
  // Few paths contain these characters; the others skip the regular expressions.
  const bare = path.includes(';') ? path.replace(PARAMETERS, '') : path;
  return bare.includes('%') ? bare.replace(ENCODED_UNRESERVED, decodeURIComponent) : bare;
}
