// Announces before a test run what it does to this machine. Plain JavaScript, because nothing is compiled yet.
const RUNS = {
  test:
    'npm test: under 4 minutes on two idle cores, and needs 2 GB of memory, 1 GB in the temporary folder, and ' +
    "a redis-server or valkey-server. Where none is on the PATH, Debian's is fetched into build/programs " +
    '(nothing is installed, started or enabled). All servers listen on loopback, on free ports.',
  'test:long':
    'npm run test:long: about 3 minutes on two idle cores, and needs what npm test needs. All servers listen on loopback, ' +
    'on free ports.',
  'test:deploy':
    'npm run test:deploy: about one minute, and needs haproxy, keepalived, pcs, promtool and others (see deploy/README.md). ' +
    'What is not installed is fetched from Debian into build/programs, up to 60 MB and 500 MB unpacked ' +
    '(nothing is installed, started or enabled).',
  'test:console':
    'npm run test:console: about one minute, and needs Chromium and a redis-server or valkey-server. ' +
    'What is not installed is fetched from Debian into build/programs, up to 200 MB and 550 MB unpacked ' +
    '(nothing is installed, started or enabled). All servers listen on loopback, on free ports.',
};

process.stdout.write(`${RUNS[process.argv[2]]}\n`);
