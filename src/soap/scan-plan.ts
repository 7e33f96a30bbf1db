import type { CompiledName, CompiledRule, ElementMatch, ElementRule } from './element-rules.ts';
import { compileName, compileRules, firstBytes } from './element-rules.ts';
import type { JudgeValue } from './findings.ts';

export interface ScanOptions {
  /** How deep an element may stand: the Envelope is 1, Body and Header are 2, the operation is 3, its parameters are 4. */
  readonly maxDepth: number;
  /** The operation is looked for as well; needs a depth of 3. */
  readonly wantsOperation?: boolean;
  /** `exact` by default. */
  readonly match?: ElementMatch;
  /** Elements that hold a list of sessions; one counts where it holds a single item, and ranks behind all rules. */
  readonly lists?: readonly string[];
  /** Elements that tell of others than the agent: nothing inside of them is looked at. */
  readonly others?: readonly string[];
  readonly check?: JudgeValue;
}

/** What a scan looks for, made once for all of them. */
export interface Plan {
  readonly user: readonly CompiledRule[];
  readonly session: readonly CompiledRule[];
  readonly lists: readonly CompiledName[];
  readonly others: readonly CompiledName[];
  /** See {@link firstBytes}. */
  readonly firsts: Uint8Array;
  readonly isLoose: boolean;
  readonly check: JudgeValue | undefined;
  readonly maxDepth: number;
  readonly usesNamespaces: boolean;
  readonly wantsOperation: boolean;
}

export function compilePlan(rules: readonly ElementRule[], options: ScanOptions): Plan {
  const user = compileRules(rules, 'user');
  const session = compileRules(rules, 'session');
  const lists = (options.lists ?? []).map(compileName);
  const others = (options.others ?? []).map(compileName);
  return {
    user,
    session,
    lists,
    others,
    firsts: firstBytes([...[...user, ...session].map(({ local }) => local), ...lists, ...others]),
    isLoose: options.match === 'loose',
    check: options.check,
    maxDepth: options.maxDepth,
    usesNamespaces: rules.some((rule) => rule.namespace !== undefined),
    wantsOperation: options.wantsOperation ?? false,
  };
}
