import { spawnSync } from 'node:child_process';
import type { LaunchOptions } from 'playwright-core';
import { findTool } from './system-tools.ts';

/** The browser, or why there is none. */
export type Chromium = { readonly path: string } | { readonly problem: string };

/** The installed or downloaded browser. The one without windows first, because it starts in half the time. */
export function findChromium(): Chromium {
  let problem = 'there is no chromium-headless-shell and no chromium on the PATH';
  for (const name of ['chromium-headless-shell', 'headless_shell', 'chromium', 'chromium-browser']) {
    const path = findTool(name);
    if (path === undefined) continue;
    const { status, stderr, error } = spawnSync(path, ['--version'], { encoding: 'utf8' });
    if (status === 0) return { path };
    problem = `${path} does not start: ${error?.message ?? stderr.trim()}`;
  }
  return { problem };
}

/** How to launch the browser. @throws if there is none */
export function chromiumOptions(): LaunchOptions {
  const found = findChromium();
  if ('problem' in found)
    throw new Error(`${found.problem}: npm run browser, or apt-get install chromium-headless-shell`);
  return {
    executablePath: found.path,
    args: [
      // A name that an attacker lets point to this machine, for the test of the Host check.
      '--host-resolver-rules=MAP *.rebound.test 127.0.0.1',
      // Pictures of two runs are equal only with the same antialiasing of letters.
      '--font-render-hinting=none',
    ],
  };
}
