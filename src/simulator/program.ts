import { fileURLToPath } from 'node:url';

/**
 * The built program, to be started once more as a child. Seen from the sources,
 * which Node 20 cannot run, it is where `npm run build` puts it.
 */
export function builtProgram(): readonly string[] {
  const main = import.meta.url.endsWith('.ts') ? '../../dist/main.js' : '../main.js';
  return [process.execPath, fileURLToPath(new URL(main, import.meta.url))];
}
