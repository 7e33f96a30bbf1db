/**
 * Makes sure that the programs exist that check the files in `deploy/`. Downloads
 * missing ones into a directory of this checkout; if that fails, says in one sentence
 * what to install, and fails.
 */
import type { SystemTool } from './system-tools.ts';
import { findTool, packagesNotInstalled, SYSTEM_TOOLS } from './system-tools.ts';
import { unpack } from './unpacked-packages.ts';

if (missingPackages().length > 0) {
  // Includes programs downloaded before, because the directory is created as a whole.
  const packages = packagesNotInstalled();
  process.stderr.write(
    `The files in deploy/ are checked with programs of Debian packages; not installed: ${packages.join(', ')}. ` +
      'Fetching them (at most 60 MB, unpacked 500 MB) into build/programs/deploy: ' +
      'nothing is installed, started or enabled on this machine. To avoid this, install them.\n',
  );
  const problem = unpack('deploy', packages);
  const still = missingPackages();
  if (still.length > 0) {
    process.stderr.write(
      `The files in deploy/ are checked with programs of these Debian packages, which are missing${problem === undefined ? '' : ` (${problem})`}: ${still.join(' ')}\n` +
        'Install them; until then those checks fail, and nothing else.\n',
    );
    process.exit(1);
  }
}

function missingPackages(): string[] {
  const tools = Object.keys(SYSTEM_TOOLS) as SystemTool[];
  return tools.filter((name) => findTool(name) === undefined).map((name) => SYSTEM_TOOLS[name]);
}
