import { formatChange, reloadable } from '../config/changes.ts';
import { previewReload } from '../config/preview.ts';
import { ConfigInvalid } from '../config/problem.ts';
import { withShown } from '../config/shown-options.ts';
import { checkProtocol } from '../process/messages.ts';
import type { ConfigAnswer, ConfigQuestion } from './config-reader.ts';
import { loadFromFlags } from './load-flags.ts';

/** Answers the question of the process that has started this one (`cli/config-reader.ts`), and ends. */
export function answerAboutConfig(): void {
  process.title = 'ici-gateway: config';
  // Signals to a process group reach this process too; the one that asks acts.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)
    process.on(name, () => undefined);
  process.on('disconnect', () => process.exit());
  process.once('message', (question) => {
    process.send?.(answerTo(question as ConfigQuestion), () => process.exit());
  });
}

function answerTo({ protocol, flags, inEffect, isPreview }: ConfigQuestion): ConfigAnswer {
  try {
    checkProtocol(protocol);
    const load = () => loadFromFlags(flags, process.env);
    if (isPreview === true && inEffect !== undefined)
      return { kind: 'preview', preview: previewReload(inEffect, () => load().config) };
    const { config, warnings } = load();
    const read = withShown(config);
    if (inEffect === undefined) return { kind: 'read', read, warnings };
    const { changes, refused } = reloadable(inEffect, config);
    return {
      kind: 'read',
      read: { ...read, reload: { changes: changes.map(formatChange), refused } },
      warnings,
    };
  } catch (error) {
    if (error instanceof ConfigInvalid) return { kind: 'invalid', problems: error.problems };
    return { kind: 'failed', error };
  }
}
