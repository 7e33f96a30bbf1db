import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const LOGGER = new URL('../../build/src/telemetry/logger.js', import.meta.url).href;

/** The output of a process that runs the script with an open `log`. */
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

test('a log is for people on a terminal, and JSON elsewhere', () => {
  const script = `
    const { openProcessLog } = await import(${JSON.stringify(LOGGER)});
    const log = openProcessLog('info', 'worker-1');
    log.logger.warn({ pool: 'ici' }, 'no instance is up');
    await log.close();
  `;
  const file = join(mkdtempSync(join(tmpdir(), 'ici-log-')), 'log.mjs');
  writeFileSync(file, script);
  // `script` of util-linux gives a command a terminal.
  const { stdout } = spawnSync('script', ['-qec', `'${process.execPath}' '${file}'`, '/dev/null'], {
    encoding: 'utf8',
  });
  rmSync(dirname(file), { recursive: true });
  expect(stdout.trimEnd()).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}\[worker-1\] no instance is up pool=ici$/);
  expect(loggedBy("log.logger.info('for programs'); await log.close();")).toEqual(['for programs']);
});

describe('a log', () => {
  // The second size is about one block, so that the next line is in another block.
  test.each([10, 4_000])('that is closed during a write keeps the pending lines (%d bytes)', (bytes) => {
    const logged = loggedBy(`
      log.logger.flush();
      log.logger.info('x'.repeat(${bytes}));
      log.logger.info('last');
      if (!(await log.close())) throw new Error('the output has no reader');
    `);
    expect(logged).toEqual(['x'.repeat(bytes), 'last']);
  });

  test('records a crash, even after a pause of the process', () => {
    const logged = loggedBy(`
      setTimeout(() => {
        log.logger.info('before');
        const until = performance.now() + 800;
        while (performance.now() < until);
        throw new Error('a fault of this test');
      });
    `);
    expect(logged).toEqual([expect.stringContaining('crashed'), 'before']);
  });
});
