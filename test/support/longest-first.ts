import type { TestSpecification } from 'vitest/node';
import { BaseSequencer } from 'vitest/node';

/** The files that take longest, longest first. */
const LONGEST = [
  'e2e/upgrade',
  'e2e/drills',
  'e2e/supervisor',
  'e2e/reload',
  'e2e/workers',
  'e2e/lost-output',
  'fault/redis',
  'fault/instances',
  'e2e/one-agent-one-instance',
  'e2e/cli-check',
  'e2e/stopped-gateway',
  'e2e/operated',
  'e2e/states',
  'fault/agreement',
  'e2e/socket-activation',
  'integration/forwarding-agreement',
  'integration/simulator-process',
  'simulation/simulation',
];

/** Starts long files first: a long file that starts last would run alone. On a new machine, size says little about time. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return at === -1 ? LONGEST.length : at;
    };
    return (await super.sort(files)).toSorted((one, other) => place(one) - place(other));
  }
}
