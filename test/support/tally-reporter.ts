import type { Reporter, TestCase, TestModule, Vitest } from 'vitest/node';
import { MachineWatch, whyTooBusy } from './machine-load.ts';

/**
 * Prints whether the machine was too busy, and then the line for CI: the numbers of passed, failed and skipped tests.
 * Tests that another command runs are not counted as skipped.
 */
export default class TallyReporter implements Reporter {
  readonly #machine = new MachineWatch();
  #tags: readonly string[] = [];

  onInit({ config }: Vitest): void {
    this.#tags = config.tagsFilter ?? [];
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const tally = { passed: 0, failed: 0, skipped: 0 };
    let leftOut = 0;
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        if (isLeftOut(test, this.#tags)) {
          leftOut += 1;
          continue;
        }
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
      const beside =
        leftOut === 0 ? '' : `${leftOut} tests in these files are left to \`npm run test:long\`\n`;
      const busy = whyTooBusy(this.#machine.read());
      process.stdout.write(
        `${this.#tags.includes('!long') ? beside : ''}${busy === undefined ? '' : `${busy}\n`}${line}\n`,
      );
    });
  }
}

/** @param filter such as `['!long']`: one tag for each word, with `!` for tests without it */
function isLeftOut({ tags }: TestCase, filter: readonly string[]): boolean {
  return !filter.every((word) =>
    word.startsWith('!') ? !tags.includes(word.slice(1)) : tags.includes(word),
  );
}
