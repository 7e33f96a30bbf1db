import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { Workbench } from '../../bench/processes.ts';
import { ROOT } from '../../support/documents.ts';
import { eventually } from '../../support/eventually.ts';

const RUNNER = join(ROOT, 'test/support/run-named.mjs');

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)(
  '%s ends a benchmark with exit code %d, also if its load fails meanwhile',
  async (signal, code) => {
    const before = process.listeners(signal);
    const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
    const bench = new Workbench();
    const [own] = process.listeners(signal).filter((listener) => !before.includes(listener));
    try {
      const program = bench.start(['sleep', '1000']);
      own?.(signal);
      // As the end of a benchmark whose load generator got the signal too.
      let isClosed = false;
      void bench.close().then(() => {
        isClosed = true;
      });
      await eventually(() => expect(exit).toHaveBeenCalledWith(code));
      expect([isClosed, existsSync(bench.directory), existsSync(`/proc/${program.pid}`)]).toEqual([
        false,
        false,
        false,
      ]);
    } finally {
      exit.mockRestore();
      if (own !== undefined) process.off(signal, own);
    }
  },
);

test('a benchmark that a signal ends has the exit code that a shell gives it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ici-gateway-interrupted-'));
  try {
    const program = (name: string, text: string): void =>
      writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    program('tsc', 'exit 0');
    // Ctrl-C reaches the benchmark and the shell that has started it.
    program('node', 'kill -INT $PPID; kill -INT $$');
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` };
    const { status } = spawnSync(process.execPath, [RUNNER, 'bench', 'claims'], { env });
    expect(status).toBe(130);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
