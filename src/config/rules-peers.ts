import type { Path } from './problem.ts';
import type { CheckContext } from './rule.ts';
import { reportFiles } from './rules-files.ts';
import type { Config } from './schema.ts';
import { peerSecretProblems } from './secrets.ts';
import { parseAddress } from './syntax.ts';

/** Addresses that take connections to every address of this host, so that no peer can connect to them. */
const EVERY: ReadonlySet<string> = new Set(['0.0.0.0', '::', '[::]']);

export function peersFit({ peers, listen, admin, affinity }: Config, _: Path, context: CheckContext): void {
  if (peers === undefined) return;
  const { error, warn } = context;
  const { address, advertise = address, keyFile } = peers;
  for (const [option, taken] of [
    ['listen', listen.address],
    ['admin', admin.address],
  ]) {
    if (address === taken && !address.endsWith(':0'))
      error(['peers', 'address'], `is ${address}, the same as ${option}.address; use another port`);
  }
  const { host = '', port = 0 } = parseAddress(advertise) ?? {};
  if (EVERY.has(host) || port === 0)
    error(
      ['peers', peers.advertise === undefined ? 'address' : 'advertise'],
      `is ${advertise}, to which no other gateway can connect; set peers.advertise to host and port of this gateway`,
    );
  if (affinity.store === 'embedded')
    warn(['peers'], 'has no effect with an embedded store, which no other gateway shares; use Redis');
  reportFiles(error, ['peers'], peerSecretProblems(keyFile));
}
