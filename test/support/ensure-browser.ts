/**
 * Makes sure that the tests of the console can start a browser. If none is installed,
 * downloads Debian's Chromium into a directory of this checkout; if that fails, says in
 * one sentence what to install, and fails.
 */
import { findChromium } from './chromium.ts';
import { unpack } from './unpacked-packages.ts';

if ('problem' in findChromium()) {
  process.stderr.write(
    'There is no Chromium on the PATH, and the console is tested in one. ' +
      'Fetching the Debian package chromium-headless-shell (90 to 200 MB with the libraries that are missing here, unpacked 300 to 550 MB) ' +
      'into build/programs/browser: nothing is installed, started or enabled on this machine. ' +
      'To avoid this, install chromium-headless-shell or chromium.\n',
  );
  const failure = unpack('browser', ['chromium-headless-shell']);
  const found = findChromium();
  if ('problem' in found) {
    process.stderr.write(
      `The console is tested in Chromium, and it could not be fetched (${failure ?? found.problem}): ` +
        'install it, for example with "apt-get install chromium-headless-shell" or "dnf install chromium-headless".\n',
    );
    process.exit(1);
  }
}
