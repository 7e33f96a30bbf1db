import type { Reporter, TestModule } from 'vitest/node';
import { MachineWatch, whyTooBusy } from './machine-load.ts';

/** Prints whether the machine was too busy, and then the line for CI: the numbers of passed, failed and skipped tests. */
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
      // A file that fails to load has no tests; count it as a failure.
      if (module.errors().length > 0) tally.failed += 1;
    }
    const line = `tests: ${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`;
    // After the default reporter's summary, and after the processes of the tests have ended.
    process.on('exit', () => {
      const busy = whyTooBusy(this.#machine.read());
      process.stdout.write(`${busy === undefined ? '' : `${busy}\n`}${line}\n`);
    });
  }
}
