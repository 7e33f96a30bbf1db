import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync, constants as zlib } from 'node:zlib';
import { build } from 'esbuild';
import { Marked } from 'marked';
import { gfmHeadingId } from 'marked-gfm-heading-id';

/**
 * Files of packages that the bundle has in a shorter form. A process would load what no gateway uses: about half of the
 * code, and a fifth of the processor time of a start. `node_modules:NAME` stays
 * out of the bundle and is loaded when the `require` is called.
 */
const SHORTER = {
  // What the gateway and reply-from use. The rest is fetch, WebSocket, mocks and caches.
  'undici/index.js': `
const Dispatcher = require('./lib/dispatcher/dispatcher');
Object.assign(Dispatcher.prototype, require('./lib/api'));
module.exports = {
  Dispatcher,
  Client: require('./lib/dispatcher/client'),
  Pool: require('./lib/dispatcher/pool'),
  BalancedPool: require('./lib/dispatcher/balanced-pool'),
  errors: require('./lib/core/errors'),
};`,
  'undici/lib/dispatcher/client-h2.js': absent('HTTP/2 to instances'),
  // For bodies of fetch.
  'undici/lib/web/fetch/body.js': 'exports.extractBody = undefined;',
  // Schemas of the admin port are compiled when they are used first; those of the data port have none.
  '@fastify/ajv-compiler/index.js': `
module.exports = (...options) => (...schemas) => require('node_modules:@fastify/ajv-compiler')(...options)(...schemas);`,
  '@fastify/fast-json-stringify-compiler/index.js': `module.exports = () => ${arrow('answers serialized by their schemas')};`,
  'light-my-request/index.js': absent('requests without a connection'),
  // It finds its addon from its own folder. A `require` loads one file instead of eight.
  'lmdb/node-index.js': "const { open } = require('node_modules:lmdb'); export { open };",
  // Few configurations have patterns. Its tables are as large as the rest of a supervisor.
  're2js/build/index.js':
    "export const RE2JS = new Proxy({}, { get: (_, name) => require('node_modules:re2js').RE2JS[name] });",
  'semver/index.js': `
module.exports = {
  coerce: require('./functions/coerce'),
  gt: require('./functions/gt'),
  satisfies: require('./functions/satisfies'),
};`,
  // It tells tracers of what a metric was counted in. No tracer runs in a gateway.
  '@opentelemetry/api/dist/index.cjs': '',
  // Threads that write a log.
  'pino/lib/transport.js': absent('a transport of the log'),
};

function absent(what) {
  return `module.exports = ${arrow(what)};`;
}

function arrow(what) {
  return `() => { throw new Error('${what}: not in the bundle (esbuild.config.mjs)'); }`;
}

/** The program as `main.js` and the chunks that it loads when it needs them: see src/decisions/0025-one-bundle.md. */
export const BUNDLE = {
  entryPoints: ['src/main.ts'],
  bundle: true,
  splitting: true,
  // Beside main.js, so that every module finds package.json one folder up, as it does in src.
  chunkNames: '[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // Packages that are written in CommonJS ask for Node's modules with `require`.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
  plugins: [
    {
      name: 'shorter',
      setup: ({ onLoad, onResolve }) => {
        onResolve({ filter: /^node_modules:/ }, ({ path }) => ({
          path: path.slice('node_modules:'.length),
          external: true,
        }));
        for (const [file, contents] of Object.entries(SHORTER)) {
          const filter = new RegExp(`/node_modules/${file.replaceAll('.', '\\.')}$`);
          onLoad({ filter }, ({ path }) => ({ contents, resolveDir: dirname(path) }));
        }
      },
    },
  ],
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
};

/** The web administration, for browsers: see src/decisions/0027-the-console.md. */
export const CONSOLE = {
  entryPoints: ['src/admin/console/main.tsx', 'src/admin/console/style/runbook.css'],
  outdir: 'dist/console',
  // A name says which content it is, so that browsers keep it for good.
  entryNames: '[name]-[hash]',
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'browser',
  target: ['chrome116', 'firefox124', 'safari17.4'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  metafile: true,
  logLevel: 'warning',
  plugins: [
    {
      name: 'pages',
      setup: ({ onEnd }) => onEnd(({ metafile }) => metafile && writePages(Object.keys(metafile.outputs))),
    },
  ],
};

/** Writes the pages with the names of their files, and each file compressed beside itself. */
function writePages(outputs) {
  const files = outputs.map((path) => basename(path));
  // Such as main.css, for which the build has made main-ABCD1234.css.
  const named = (page) =>
    page.replaceAll(
      /\/console\/(\w+)\.(js|css)/g,
      (_, name, ending) =>
        `/console/${files.find((file) => file.startsWith(`${name}-`) && file.endsWith(`.${ending}`))}`,
    );
  const pages = {
    'index.html': named(readFileSync('src/admin/console/index.html', 'utf8')),
    'runbook.html': named(runbookPage(readFileSync('deploy/RUNBOOK.md', 'utf8'))),
  };
  for (const file of readdirSync('dist/console'))
    if (/^(main|runbook)-/.test(file) && !files.includes(file.replace(/\.(gz|br)$/, '')))
      rmSync(`dist/console/${file}`);
  for (const [name, page] of Object.entries(pages)) writeFileSync(`dist/console/${name}`, page);
  for (const file of [...files, ...Object.keys(pages)]) {
    const content = readFileSync(`dist/console/${file}`);
    writeFileSync(`dist/console/${file}.gz`, gzipSync(content, { level: 9 }));
    const quality = { [zlib.BROTLI_PARAM_QUALITY]: zlib.BROTLI_MAX_QUALITY };
    writeFileSync(`dist/console/${file}.br`, brotliCompressSync(content, { params: quality }));
  }
}

/** The runbook as a page, with the headings as anchors: alarms link to them. */
function runbookPage(text) {
  const marked = new Marked(gfmHeadingId());
  marked.use({
    renderer: {
      // The page stands alone: what the repository has beside the runbook is not served.
      link({ href, tokens }) {
        return /^(#|https?:)/.test(href) ? false : this.parser.parseInline(tokens);
      },
    },
  });
  return `<!doctype html>
<html lang="en" data-theme="auto">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Runbook of ici-gateway</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/console/runbook.css" />
  </head>
  <body>
    <main>${marked.parse(text)}</main>
  </body>
</html>
`;
}

/** For `ici-gateway --version`. An image is built without the repository: there COMMIT says it. */
function commit() {
  if (process.env.COMMIT) return process.env.COMMIT;
  try {
    const git = (...args) =>
      execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    // A package that was unpacked into another repository is not built from its commit.
    if (git('rev-parse', '--show-prefix') !== '') return '';
    const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes';
    return `${git('rev-parse', '--short=12', 'HEAD')}${changed}`;
  } catch {
    return '';
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync('dist', { recursive: true, force: true });
  mkdirSync('dist/console', { recursive: true });
  await Promise.all([build({ ...BUNDLE, outdir: 'dist' }), build(CONSOLE)]);
  // The scripts for Redis, at the same place as in src: see src/redis/lua.ts.
  for (const file of readdirSync('src', { recursive: true })) {
    if (file.endsWith('.lua')) cpSync(`src/${file}`, `dist/${file}`);
  }
  writeFileSync('dist/commit', `${commit()}\n`);
}
