import type { CompiledName, CompiledRule, ElementMatch, ElementRule } from './element-rules.ts';
import { compileName, compileRules, firstBytes } from './element-rules.ts';
import type { CheckValue } from './findings.ts';

export interface ScanOptions {
  /** The depth down to which elements are searched. Envelope is 1, Body and Header 2, the operation 3, parameters 4. */
  readonly maxDepth: number;
  /** Also find the operation; needs a depth of 3. */
  readonly wantsOperation?: boolean;
  /** Also tell which rules found the names. */
  readonly wantsRanks?: boolean;
  /** `exact` by default. */
  readonly match?: ElementMatch;
  /** Elements that hold a list of sessions. A list counts only if it has one item, and after all rules. */
  readonly lists?: readonly string[];
  /** Elements that hold names of other people. Their content is skipped. */
  readonly others?: readonly string[];
  readonly check?: CheckValue;
}

/** The part of the Envelope that a scan has reached. */
export type Section = 'none' | 'header' | 'body';

/** What scans look for, compiled once. */
export interface Plan {
  readonly user: readonly CompiledRule[];
  readonly session: readonly CompiledRule[];
  readonly lists: readonly CompiledName[];
  readonly others: readonly CompiledName[];
  /** See {@link firstBytes}. */
  readonly firsts: Uint8Array;
  readonly isLoose: boolean;
  readonly check: CheckValue | undefined;
  readonly maxDepth: number;
  readonly usesNamespaces: boolean;
  readonly usesOperations: boolean;
  readonly wantsOperation: boolean;
  readonly wantsRanks: boolean;
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
    usesOperations: rules.some((rule) => rule.operation !== undefined),
    wantsOperation: options.wantsOperation ?? false,
    wantsRanks: options.wantsRanks ?? false,
  };
}
