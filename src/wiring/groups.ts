import { compilePattern } from '../config/pattern.ts';
import type { PoolConfig } from '../config/schema.ts';
import { readGroupFile } from '../config/secrets.ts';
import { AgentGroups } from '../core/agent-groups.ts';
import type { GroupFile } from '../core/group-file.ts';
import { tooLarge } from '../core/group-file.ts';
import type { Logger } from '../telemetry/logger.ts';
import { WatchedFile } from './watched-file.ts';

/**
 * Who belongs to which group of the pool; `undefined` if no option names a group.
 *
 * @param tellsOfLarge log groups that are too large for every instance: only one process of a gateway does that
 */
export function composeGroups(
  { name, mode, groups, instances }: PoolConfig,
  logger: Logger,
  { tellsOfLarge = false } = {},
): AgentGroups | undefined {
  const { file, patterns, header } = groups;
  const most = Math.max(...instances.map(({ maxAgents = Infinity }) => maxAgents));
  const read = (path: string): GroupFile['groups'] => {
    const content = readGroupFile(path);
    if (tellsOfLarge)
      for (const { name: group, size } of tooLarge(content, most))
        logger.warn(
          { pool: name, group, agents: size, maxAgents: most },
          'a group is larger than maxAgents of any instance, and goes where most room is: split it, or raise maxAgents',
        );
    return content;
  };
  if (mode !== 'sticky' || (file === undefined && patterns.length === 0 && header === undefined))
    return undefined;
  const watched =
    file === undefined
      ? undefined
      : new WatchedFile(
          file,
          () => read(file),
          (error) =>
            logger.warn(
              { pool: name, option: 'groups.file', reason: error.message },
              'a changed file is not valid; its last valid content counts',
            ),
          () =>
            logger.info(
              { pool: name, option: 'groups.file' },
              'a file was read again and is valid: it counts',
            ),
        );
  return new AgentGroups({
    file: watched && (() => watched.content),
    problem: watched && (() => watched.problem),
    patterns: patterns.map(({ users, group }) => ({
      users: compilePattern(`^(?:${users})$`, { ignoresCase: true }),
      group,
    })),
    header: header?.toLowerCase(),
  });
}
