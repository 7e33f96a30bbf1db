import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

// Files whose tests start several processes each.
const PROCESSES_AT_ONCE = Math.max(4, availableParallelism() - 1);

export default defineConfig({
  test: {
    globals: false,
    // Half of the time of a core went into loading the same modules for each file. No test leaves anything behind in them.
    isolate: false,
    // Each project would translate the same modules for itself, and so would the next run.
    experimental: { fsModuleCache: true },
    // What computes all the time. Each worker of each project first loads the modules, for some seconds.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    sequence: { sequencer: LongestFirst },
    tags: [
      {
        name: 'long',
        description: 'left out by `npm test`; `npm run test:long` runs these, and so does .ci/run',
      },
    ],
    reporters: ['default', './test/support/tally-reporter.ts'],
    // `npm run coverage`; what runs in processes of its own, as in test/e2e, does not count.
    coverage: { include: ['src/**/*.ts'], reportOnFailure: true, reporter: ['text-summary', 'html'] },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // For what hangs: some hash passwords or draw thousands of cases, on a core that others have too. Longer than
          // `eventually` waits, whose last error says more than a time-out.
          testTimeout: 120_000,
        },
      },
      { extends: true, test: { name: 'fuzz', include: ['test/fuzz/**/*.test.ts'], testTimeout: 120_000 } },
      {
        extends: true,
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          testTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          // Much of what they do is waiting, for leases and probes: on two cores, seven at a time.
          sequence: { groupOrder: 1 },
          maxWorkers: Math.max(7, availableParallelism() - 1),
          include: ['test/integration/**/*.test.ts'],
          globalSetup: ['test/support/redis-global-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          // After the others: processes of their own and thousands of requests want both cores.
          sequence: { groupOrder: 2 },
          maxWorkers: PROCESSES_AT_ONCE,
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['test/support/redis-global-setup.ts'],
          // For what hangs: the starts of a test cost up to a minute of processor time where ten programs share a core.
          testTimeout: 300_000,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'deploy',
          // What needs programs or rights that not everybody has: `npm test` leaves it out.
          include: ['test/deploy/**/*.test.ts'],
          globalSetup: ['test/support/redis-global-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 5 },
          maxWorkers: PROCESSES_AT_ONCE,
        },
      },
      {
        extends: true,
        test: {
          name: 'console',
          // What needs a browser: `npm run test:console` fetches one, and `npm test` leaves it out.
          include: ['test/console/**/*.test.ts'],
          globalSetup: ['test/console/browser-global-setup.ts'],
          testTimeout: 300_000,
          // A hook starts Redis, connectors and up to three gateways, while three other files do the same.
          hookTimeout: 180_000,
          // After those of `deploy`: a browser wants both cores.
          sequence: { groupOrder: 6 },
          maxWorkers: PROCESSES_AT_ONCE,
        },
      },
      {
        extends: true,
        test: {
          name: 'timing',
          include: ['test/timing/**/*.test.ts'],
          globalSetup: ['test/support/redis-global-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 180_000,
          // What promises milliseconds, one file at a time and with nothing beside it.
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
      {
        extends: true,
        test: {
          name: 'fault',
          include: ['test/fault/**/*.test.ts'],
          globalSetup: ['test/support/redis-global-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 180_000,
          // Beside each other, since much of their time is leases and probes that run out, but not beside thousands of requests.
          sequence: { groupOrder: 3 },
          maxWorkers: PROCESSES_AT_ONCE,
        },
      },
    ],
  },
});
