import { cpSync, readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

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
  // Addons and worker threads are files of their own.
  external: ['lmdb', 'pino', 'thread-stream'],
  // Packages that are written in CommonJS ask for Node's modules with `require`.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync('dist', { recursive: true, force: true });
  await build({ ...BUNDLE, outdir: 'dist' });
  // The scripts for Redis, at the same place as in src: see src/redis/lua.ts.
  for (const file of readdirSync('src', { recursive: true })) {
    if (file.endsWith('.lua')) cpSync(`src/${file}`, `dist/${file}`);
  }
}
