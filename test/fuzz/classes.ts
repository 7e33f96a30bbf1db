import fc from 'fast-check';
import { CALL, checkCall } from './admin.ts';
import { POSTED } from './envelopes.ts';
import { checkHttp } from './http.ts';
import { CLIENT_BYTES } from './http-messages.ts';
import { checkSapCall, SAP_CALL } from './sapcontrol-calls.ts';
import type { Site } from './site.ts';
import { checkUser } from './users.ts';

export interface Drawing {
  readonly seed: number;
  /** Where to begin instead of at the first message: at the one that failed, as a report names it. */
  readonly path?: string | undefined;
  readonly durationMs: number;
}

export interface Result {
  readonly messages: number;
  /** The smallest message that fails, and why. */
  readonly failure: { readonly why: string; readonly message: string; readonly path: string } | undefined;
}

/** Messages of one kind, and what each of them must not do. */
interface Class {
  /** Of the whole time. */
  readonly share: number;
  run(site: Site, drawing: Drawing): Promise<Result>;
}

// Time ends a run.
const MOST_MESSAGES = 1_000_000_000;

function classOf<T>(
  share: number,
  message: fc.Arbitrary<T>,
  check: (site: Site, message: T) => Promise<void>,
): Class {
  return {
    share,
    async run(site, { seed, path = '', durationMs }) {
      let current = Promise.resolve();
      const found = await fc.check(
        fc.asyncProperty(message, (one) => {
          current = check(site, one);
          return current;
        }),
        { seed, path, numRuns: MOST_MESSAGES, interruptAfterTimeLimit: durationMs },
      );
      // The time ends in the middle of a check, which must not disturb the next class.
      await current.catch(() => undefined);
      if (found.counterexamplePath === null) return { messages: found.numRuns, failure: undefined };
      const why =
        found.errorInstance instanceof Error
          ? (found.errorInstance.stack ?? '')
          : String(found.errorInstance);
      const smallest = JSON.stringify(found.counterexample?.[0]);
      return { messages: found.numRuns, failure: { why, message: smallest, path: found.counterexamplePath } };
    },
  };
}

export const CLASSES = {
  http: classOf(0.4, CLIENT_BYTES, checkHttp),
  envelopes: classOf(0.3, POSTED, checkUser),
  sapcontrol: classOf(0.15, SAP_CALL, checkSapCall),
  // Last, because it leaves instances disabled and the gateway under maintenance.
  admin: classOf(0.15, CALL, checkCall),
};

export type ClassName = keyof typeof CLASSES;
