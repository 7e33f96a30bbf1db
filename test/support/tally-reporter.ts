import type { Reporter, TestModule } from 'vitest/node';
import { MachineWatch, whyTooBusy } from './machine-load.ts';

/** Prints whether the machine was too busy, and last the one line that CI reads: how many tests passed, failed and were skipped. */
export default class TallyReporter implements Reporter {
  readonly #machine = new MachineWatch();

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
    // After the default reporter's own summary, and after the processes of the tests.
    process.on('exit', () => {
      const busy = whyTooBusy(this.#machine.read());
      process.stdout.write(`${busy === undefined ? '' : `${busy}\n`}${line}\n`);
    });
  }
}
