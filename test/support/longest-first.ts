import type { TestSpecification } from 'vitest/node';
import { BaseSequencer } from 'vitest/node';

/** By project, so that the processes that have loaded the modules of one run all of its files, before they are replaced. */
const PROJECTS = ['integration', 'simulation', 'fuzz', 'unit'];

/** The files that take longest, longest first. */
const LONGEST = [
  'e2e/supervisor',
  'e2e/workers',
  'e2e/reload',
  'e2e/snippets',
  'e2e/drills',
  'e2e/passwords',
  'e2e/lost-output',
  'e2e/stopped-gateway',
  'e2e/operated',
  'e2e/upgrade',
  'e2e/states',
  'e2e/one-agent-one-instance',
  'e2e/shutdown',
  'e2e/cli-check',
  'e2e/socket-activation',
  'fault/redis',
  'fault/instances',
  'fault/agreement',
  'integration/admin-shared',
  'integration/logoff',
  'integration/affinity-redis',
  'integration/forwarding-agreement',
  'integration/config-drift',
  'integration/redis-view-store-lag',
  'integration/redis-cluster',
  'integration/claims-fail',
  'integration/forget-agent',
  'integration/redis-sentinel',
  'integration/simulator-process',
  'integration/claim-race',
  'integration/bodies-bounded',
  'integration/admin-acts',
  'integration/affinity-bindings-away',
  'integration/redis-connection',
  'integration/files-of-one-request',
  'integration/redis-view-store',
  'integration/listener-ending',
  'integration/groups',
  'integration/affinity-bindings',
  'simulation/simulation',
  'simulation/mutants',
  'fuzz/sockets',
  'unit/affinity/embedded',
  'unit/core/balancers',
  'unit/proxy/explain',
  'unit/coordination/pool-coordinator',
  'unit/passwords/passwords',
];

/** Starts long files first: a long file that starts last would run alone. On a new machine, size says little about time. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return at === -1 ? LONGEST.length : at;
    };
    const projectOf = ({ project }: TestSpecification): number => PROJECTS.indexOf(project.name);
    return (await super.sort(files)).toSorted(
      (one, other) => projectOf(one) - projectOf(other) || place(one) - place(other),
    );
  }
}
