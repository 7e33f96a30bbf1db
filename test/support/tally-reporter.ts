import type { Reporter, TestModule } from 'vitest/node';

/** Prints the one line that CI reads, last: how many tests passed, failed and were skipped. */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tally = { passed: 0, failed: 0, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') tally.passed += 1;
        else if (state === 'failed') tally.failed += 1;
        else tally.skipped += 1;
      }
      // A file that could not even be loaded has no tests, and must not count as none failed.
      if (module.errors().length > 0) tally.failed += 1;
    }
    const line = `tests: ${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`;
    // After the default reporter's own summary.
    process.on('exit', () => process.stdout.write(`${line}\n`));
  }
}
