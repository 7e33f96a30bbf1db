// Which folder of src may import which, and where each package is used: `npm run check` holds src and test to it.
// src/README.md says what the folders are for.

/** What each folder may import beside itself. */
const MAY_USE = {
  core: [],
  soap: ['core'],
  identity: ['core', 'soap'],
  sockets: ['core'],
  proxy: ['core', 'identity', 'soap', 'sockets', 'telemetry'],
  affinity: ['core', 'redis'],
  coordination: ['core', 'redis'],
  health: ['core'],
  passwords: ['core'],
  admin: ['core', 'passwords', 'sockets', 'telemetry'],
  sapcontrol: ['core', 'passwords', 'soap', 'sockets', 'telemetry'],
  redis: ['core'],
  telemetry: ['core'],
  config: ['core'],
  process: ['core', 'config', 'telemetry'],
  simulator: ['soap'],
  wiring: [
    ...['core', 'soap', 'identity', 'proxy', 'affinity', 'coordination', 'health', 'admin', 'sapcontrol'],
    ...['passwords', 'redis', 'sockets', 'telemetry', 'config', 'process'],
  ],
  cli: ['core', 'config', 'passwords', 'process', 'telemetry', 'wiring', 'simulator'],
};

/** Where each package may be imported; everywhere else it is an error. */
const USED_IN = {
  '@fastify/ajv-compiler': ['admin/schema-checks.ts'],
  '@fastify/reply-from': ['proxy/forwarder.ts'],
  commander: ['cli/'],
  'fast-xml-parser': ['sapcontrol/'],
  fastify: ['proxy/', 'admin/', 'sapcontrol/'],
  'ipaddr.js': ['identity/', 'config/'],
  ioredis: ['redis/', 'affinity/redis/', 'coordination/redis/'],
  lmdb: ['affinity/embedded/'],
  'lru-cache': ['affinity/', 'proxy/', 'simulator/'],
  'modern-tar': ['admin/incident-route.ts', 'cli/admin/incident.ts'],
  pino: ['telemetry/'],
  preact: ['admin/console/'],
  'prom-client': ['telemetry/'],
  re2js: ['config/'],
  typebox: ['admin/', 'config/'],
  undici: ['proxy/', 'health/'],
  uplot: ['admin/console/'],
  yaml: ['config/'],
};

const ADAPTERS = ['affinity/redis', 'affinity/embedded', 'coordination/redis'];

const anyOf = (paths) => `^src/(${paths.join('|')})`;
const error = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

export default {
  forbidden: [
    error(
      'no-cycle',
      'Move what both need into a file of its own. Types count too.',
      // Exception: each part of the simulated world has the type of the world that it is in.
      { pathNot: '^test/simulation/' },
      { circular: true },
    ),
    error('resolvable', 'The file or package does not exist.', { path: '^src/' }, { couldNotResolve: true }),
    error(
      'no-dev-package',
      'The installed program has no devDependencies.',
      { path: '^src/' },
      { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    ),
    error('no-test', 'The program does not know its tests.', { path: '^src/' }, { path: '^test/' }),
    ...Object.entries(MAY_USE).map(([folder, others]) =>
      error(
        `${folder}-imports`,
        'Put types that both need into core/, or let wiring/ pass the function.',
        { path: `^src/${folder}/` },
        { path: '^src/[^/]+/', pathNot: anyOf([folder, ...others].map((name) => `${name}/`)) },
      ),
    ),
    ...ADAPTERS.map((adapter) =>
      error(
        `${adapter.replace('/', '-')}-alone`,
        'Adapters do not import each other.',
        { path: `^src/${adapter}/` },
        { path: anyOf(ADAPTERS.filter((other) => other !== adapter).map((other) => `${other}/`)) },
      ),
    ),
    error(
      'console-alone',
      'The console runs in a browser. Of the program it knows core/ alone, and the program knows its built files alone.',
      { path: '^src/admin/console/' },
      { path: '^src/', pathNot: anyOf(['admin/console/', 'core/']) },
    ),
    error(
      'console-is-built',
      'Only the build imports the console: it runs in a browser.',
      { path: '^src/', pathNot: '^src/admin/console/' },
      { path: '^src/admin/console/' },
    ),
    error(
      'core-is-pure',
      'core/ imports no package, only Node itself.',
      { path: '^src/core/' },
      { path: 'node_modules/' },
    ),
    ...Object.entries(USED_IN).map(([name, places]) =>
      error(
        `${name}-stays`,
        `${name} is used in ${places.join(', ')} only.`,
        { path: '^src/', pathNot: anyOf(places) },
        { path: `node_modules/${name}/` },
      ),
    ),
  ],
  options: {
    // TypeScript 7 has no compiler to ask; swc sees every import, type-only ones too.
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    // It parses no JSX. biome.json holds the components of the console to the same rules.
    exclude: { path: ['^(build|dist)/', '\\.tsx$'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
    },
    moduleSystems: ['es6', 'cjs'],
  },
};
