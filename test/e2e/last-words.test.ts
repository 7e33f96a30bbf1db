import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

const LOGGER = new URL('../../dist/telemetry/logger.js', import.meta.url).href;

// The second of these is about a block, so that what follows it is in another one.
test.each([10, 4_000])('a log that is closed during a write keeps what waits for it (%d bytes)', (bytes) => {
  const script = `
    const { openProcessLog } = await import(${JSON.stringify(LOGGER)});
    const log = openProcessLog('info');
    log.logger.flush();
    log.logger.info('x'.repeat(${bytes}));
    log.logger.info('last');
    if (!(await log.close())) throw new Error('nobody reads');
  `;
  const args = ['--input-type=module', '--eval', script];
  const lines = execFileSync(process.execPath, args, { encoding: 'utf8' }).split('\n');
  const logged = lines.filter((line) => line !== '').map((line) => JSON.parse(line).msg);
  expect(logged).toEqual(['x'.repeat(bytes), 'last']);
});
