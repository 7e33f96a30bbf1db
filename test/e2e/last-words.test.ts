import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';

const LOGGER = new URL('../../build/src/telemetry/logger.js', import.meta.url).href;

/** What a process logs that runs the script with an open `log`. */
function loggedBy(script: string): string[] {
  const opened = `
    const { openProcessLog } = await import(${JSON.stringify(LOGGER)});
    const log = openProcessLog('info');
    ${script}
  `;
  const args = ['--input-type=module', '--eval', opened];
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line).msg);
}

describe('a log', () => {
  // The second of these is about a block, so that what follows it is in another one.
  test.each([10, 4_000])('that is closed during a write keeps what waits for it (%d bytes)', (bytes) => {
    const logged = loggedBy(`
      log.logger.flush();
      log.logger.info('x'.repeat(${bytes}));
      log.logger.info('last');
      if (!(await log.close())) throw new Error('nobody reads');
    `);
    expect(logged).toEqual(['x'.repeat(bytes), 'last']);
  });

  test('tells of a crash, also in a process that stood still before it', () => {
    const logged = loggedBy(`
      log.logger.info('before');
      const until = performance.now() + 800;
      setTimeout(() => {
        while (performance.now() < until);
        throw new Error('a fault of this test');
      });
    `);
    expect(logged).toEqual([expect.stringContaining('crashed'), 'before']);
  });
});
