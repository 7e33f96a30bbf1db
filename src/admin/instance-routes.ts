import type { Static } from 'typebox';
import * as Type from 'typebox';
import type { InstanceId } from '../core/instance.ts';
import type { ActRunner } from './act-runner.ts';
import type { ActsOptions, Readers } from './admin-options.ts';
import { deadlineOf } from './deadline.ts';
import type { Act } from './pool-acts.ts';
import { instanceOf, release, setAdmin } from './pool-acts.ts';
import type { PoolSource } from './pool-source.ts';
import { poolOf } from './request-errors.ts';
import type { AdminRoutes } from './route.ts';
import { DRAIN_FIELDS, INSTANCE_CHANGED, poolActBody } from './schemas/acts.ts';
import { INSTANCE_PARAMS } from './schemas/fields.ts';
import { POOL_CHANGE_REFUSALS } from './schemas/refusals.ts';
import { instanceStatus } from './status.ts';

const DRAIN_BODY = poolActBody(DRAIN_FIELDS);
type Body = Static<typeof DRAIN_BODY>;
// A deadline is refused here. The type is the same, so that one handler serves all verbs.
const BARE_BODY = Type.Unsafe<Body>(poolActBody({}));

interface Verb {
  readonly verb: string;
  readonly summary: string;
  readonly body: typeof BARE_BODY;
  readonly run: (
    pool: PoolSource,
    id: InstanceId,
    act: Act,
    body: Body,
    readers: Readers,
  ) => Promise<boolean>;
}

const VERBS: readonly Verb[] = [
  {
    verb: 'enable',
    summary: 'the instance takes agents again',
    body: BARE_BODY,
    run: (pool, id, act) => setAdmin(pool, id, 'enabled', 0, act),
  },
  {
    verb: 'drain',
    summary:
      'the instance keeps its agents and takes no new ones; it is disabled when its last binding has ended, or at the deadline',
    body: Type.Unsafe<Body>(DRAIN_BODY),
    run: (pool, id, act, { deadline }, readers) =>
      setAdmin(
        pool,
        id,
        'draining',
        deadline === undefined ? 0 : deadlineOf(deadline, pool.operations.storeNow, readers),
        act,
      ),
  },
  {
    verb: 'disable',
    summary: 'the instance gets no requests; its agents are moved',
    body: BARE_BODY,
    run: (pool, id, act) => setAdmin(pool, id, 'disabled', 0, act),
  },
  { verb: 'release', summary: 'ends the quarantine of the instance', body: BARE_BODY, run: release },
];

/** Changes of one instance. */
export function addInstanceRoutes(
  routes: AdminRoutes,
  { pools, readers }: ActsOptions,
  runner: ActRunner,
): void {
  for (const { verb, summary, body: schema, run } of VERBS) {
    routes.post(
      `/pools/:pool/instances/:instance/${verb}`,
      {
        schema: {
          summary,
          tags: ['pools'],
          params: INSTANCE_PARAMS,
          body: schema,
          response: { ...INSTANCE_CHANGED, ...POOL_CHANGE_REFUSALS },
        },
        config: { role: 'operator' },
      },
      async ({ params, body }, reply) => {
        const pool = poolOf(pools, params);
        const { instance } = params;
        const inEffect = await runner.run({ pool, act: verb, instance, body }, (act) =>
          run(pool, instance, act, body, readers),
        );
        return reply.code(inEffect ? 200 : 202).send({
          inEffect,
          epoch: pool.operations.agreed.epoch,
          instance: instanceStatus(pool, instanceOf(pool, instance)),
        });
      },
    );
  }
}
