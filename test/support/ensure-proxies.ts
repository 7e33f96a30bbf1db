/**
 * Looks for the proxies that `npm run bench proxies` measures beside the gateway. Downloads missing ones into a directory
 * of this checkout; if that fails, says so, and the benchmark leaves them out.
 */
import { findTool } from './system-tools.ts';
import { unpack } from './unpacked-packages.ts';

const PACKAGES = { haproxy: 'haproxy', nginx: 'nginx-light', caddy: 'caddy' } as const;
const programs = Object.keys(PACKAGES) as (keyof typeof PACKAGES)[];

if (missing().length > 0) {
  process.stderr.write(
    `The gateway is measured beside other proxies; not installed: ${missing().join(', ')}. Fetching Debian packages ` +
      '(at most 20 MB, unpacked 60 MB) into build/programs/bench: nothing is installed, started or enabled on this ' +
      'machine. To avoid this, install them.\n',
  );
  // All of them, because the directory is created as a whole.
  const problem = unpack('bench', Object.values(PACKAGES));
  if (missing().length > 0)
    process.stderr.write(
      `left out: ${missing().join(', ')}${problem === undefined ? '' : ` (${problem})`}\n`,
    );
}

function missing(): string[] {
  return programs.filter((name) => findTool(name) === undefined);
}
