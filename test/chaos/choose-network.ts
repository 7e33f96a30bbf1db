import { Usage } from '../support/usage.ts';
import { namespaceNetwork, namespacesProblem } from './namespaces.ts';
import type { Network } from './network.ts';
import { proxyNetwork } from './network.ts';

/** The network that `--network` asks for; without it, the best one that this machine allows. */
export function networkOf(asked: string | undefined): {
  readonly open: () => Promise<Network>;
  /** Which one it is, and why. */
  readonly note: string;
} {
  if (asked !== undefined && asked !== 'namespaces' && asked !== 'proxy') {
    throw new Usage('--network must be namespaces or proxy');
  }
  const problem = asked === 'proxy' ? undefined : namespacesProblem();
  if (asked === 'namespaces' && problem !== undefined) throw new Usage(`--network namespaces: ${problem}`);
  if (asked !== 'proxy' && problem === undefined) return { open: namespaceNetwork, note: 'namespaces' };
  const why = problem === undefined ? '' : ` (no namespaces: ${problem})`;
  return { open: async () => proxyNetwork(), note: `fault proxy${why}` };
}
