import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import type { Explanation } from '../../../src/core/explanation.ts';
import { Random } from '../../dialogues/random.ts';
import type { Outcome } from '../../explain/world.ts';
import { World } from '../../explain/world.ts';

/** `EXPLAIN_SEEDS=100000 npx vitest run --project unit test/unit/proxy/explain.test.ts` runs more. */
const SEEDS = Number(process.env['EXPLAIN_SEEDS'] ?? 1_500);

/** The names, the names without a session that is shared, and the move. */
const MOST_PEEKS = 3;

const WAYS = [
  ...['bound', 'claimed', 'rebound', 'storeless', 'anonymous', 'answer', 'other-pool'],
  ...['starting', 'no-instance', 'view', 'lease', 'store'],
  ...[
    'GW_POOL_UNKNOWN',
    'GW_IDENTITY_AMBIGUOUS',
    'GW_IDENTITY_MISSING',
    'GW_SESSION_LOST',
    'GW_BINDINGS_FULL',
  ],
  ...['GW_CONFIG_DIFFERS', 'GW_INSTANCE_CUT_OFF', 'GW_MAINTENANCE', 'GW_FORWARDED_UNTRUSTED'],
];

/** The explanation in the words of an outcome. `*`: one of several instances. */
function toldBy(explanation: Explanation): Outcome {
  const { outcome, instance, decision, waitsFor, error } = explanation;
  switch (outcome) {
    case 'answer':
      return { isOwn: true };
    case 'other-pool':
      return { otherPool: true };
    case 'refuse':
      return { error: error ?? '' };
    case 'wait':
      return { waitsFor: waitsFor ?? '', error: error ?? '' };
    default:
      return { instance: instance ?? '*', decision: decision ?? '' };
  }
}

/** How often each outcome was told. */
const tally = new Map<string, number>();

async function differsFor(seed: number): Promise<string | undefined> {
  const random = new Random(seed);
  const world = new World(random);
  await world.live();
  const request = world.request();
  const from = random.of(['10.0.0.1', '192.0.2.1']);
  const before = world.snapshot();
  world.store.peeks = 0;
  const explanation = await world.explainer.explain({ pool: 'ici', request, from });
  // Whatever number of instances the balancer may choose. Where a group is placed may depend on the choice.
  if (world.pool.groups === undefined && world.store.peeks > MOST_PEEKS)
    return `seed ${seed}: the store was asked ${world.store.peeks} times`;
  const after = world.snapshot();
  if (after !== before) return `seed ${seed}: the explanation changed something:\n${before}\n${after}`;
  const told = toldBy(explanation);
  const kind = told.decision ?? told.waitsFor ?? told.error ?? explanation.outcome;
  tally.set(kind, (tally.get(kind) ?? 0) + 1);
  const done = await world.serve(request, from);
  if (isDeepStrictEqual(told, done)) return undefined;
  // The balancer decides among several instances.
  if (explanation.oneOf.includes(done.instance ?? '')) return undefined;
  if (explanation.otherErrors.some((error) => error === done.error)) return undefined;
  return `seed ${seed}: told ${JSON.stringify(told)}, done ${JSON.stringify(done)}\n${request}\n${JSON.stringify(explanation.steps, null, 1)}`;
}

test('an explanation says what the router then does, and changes nothing', {
  timeout: 3_600_000,
}, async () => {
  const first = Number(process.env['EXPLAIN_FIRST'] ?? 1);
  for (let seed = first; seed < first + SEEDS; seed += 1) expect(await differsFor(seed)).toBeUndefined();
  // Each way through the router was taken.
  expect([...tally.keys()]).toEqual(expect.arrayContaining(WAYS));
});
