/**
 * Makes sure that the tests can start a Redis. If none is installed, downloads one
 * into a directory of this checkout; if that fails, says in one sentence what to
 * install, and fails.
 */
import { findRedisProgram } from './redis-server.ts';
import { unpack } from './unpacked-packages.ts';

if (findRedisProgram() === undefined) {
  process.stderr.write(
    'There is no redis-server and no valkey-server on the PATH, and the tests start one on ports of their own. ' +
      'Fetching the Debian package redis-server (about 2 MB with its libraries) into build/programs/redis: ' +
      'nothing is installed, started or enabled on this machine. ' +
      'To avoid this, install redis-server or valkey-server.\n',
  );
  const problem = unpack('redis', ['redis-server']);
  if (findRedisProgram() === undefined) {
    process.stderr.write(
      `The tests need redis-server or valkey-server on the PATH, and it could not be fetched${problem === undefined ? '' : ` (${problem})`}: ` +
        'install it, for example with "apt-get install redis-server", "dnf install valkey" or "apk add redis".\n',
    );
    process.exit(1);
  }
}
