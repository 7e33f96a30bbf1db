import type { Group } from './binding.ts';
import type { FileProblem, GroupFile } from './group-file.ts';
import { groupName } from './group-file.ts';

/** Users whose names match belong to the group. */
export interface GroupPattern {
  readonly users: { test(text: string): boolean };
  readonly group: string;
}

export interface AgentGroupsOptions {
  /** The present content of the file; `undefined` without a file. */
  readonly file: (() => GroupFile['groups']) | undefined;
  /** Why the present file is not used. */
  readonly problem?: (() => FileProblem | undefined) | undefined;
  /** The first that matches decides. */
  readonly patterns: readonly GroupPattern[];
  /** The header that names the group of a request's agent, in lower case. */
  readonly header: string | undefined;
}

/** Which agent belongs to which group. The file comes before the patterns, and they come before the header. */
export class AgentGroups {
  readonly #file: AgentGroupsOptions['file'];
  readonly #problem: AgentGroupsOptions['problem'];
  readonly #patterns: readonly (Omit<GroupPattern, 'group'> & { readonly group: Group })[];
  readonly header: string | undefined;

  constructor({ file, problem, patterns, header }: AgentGroupsOptions) {
    this.#file = file;
    this.#problem = problem;
    this.#patterns = patterns.map(({ users, group }) => ({ users, group: { name: group, size: 0 } }));
    this.header = header;
  }

  get fileProblem(): FileProblem | undefined {
    return this.#problem?.();
  }

  /** Another one after each change of the file. */
  get version(): unknown {
    return this.#file?.();
  }

  /** The group of a user by file and patterns, which every gateway knows without a request. */
  ofUser(user: string): Group | undefined {
    const listed = this.#file?.().get(user);
    return listed ?? this.#patterns.find(({ users }) => users.test(user))?.group;
  }

  /** The group of a request's agent. */
  of(user: string | undefined, header: string | undefined): Group | undefined {
    const known = user === undefined ? undefined : this.ofUser(user);
    if (known !== undefined || header === undefined) return known;
    const name = groupName(header);
    return name === undefined ? undefined : { name, size: 0 };
  }
}
