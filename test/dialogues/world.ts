import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import type { BalancerName } from '../../src/core/balancers.ts';
import type { AffinityStore } from '../../src/core/ports.ts';
import { Dialogue, LOGON, STYLES } from './dialogue.ts';
import type { Message } from './message.ts';
import { messageOf } from './message.ts';
import { Oracle, placesOf } from './oracle.ts';
import { Random } from './random.ts';
import { GATEWAYS, INSTANCES, Site } from './site.ts';

/** Simultaneous dialogues that interfere with each other. */
export const DIALOGUES_AT_ONCE = 20;
const REQUESTS_EACH = 8;
const BALANCERS: readonly BalancerName[] = ['rendezvous', 'round-robin', 'least-bound', 'random'];

export interface Rules {
  /** Found names do not count like asserted ones. */
  readonly weighsNames: boolean;
  /** Log-on operations are configured. */
  readonly knowsLogon: boolean;
}

export const RULES: Rules = { weighsNames: true, knowsLogon: true };

/** Rules of evidence switched off, together or one by one. */
export const MUTANTS: Readonly<Record<string, Rules>> = {
  evidence: { weighsNames: false, knowsLogon: false },
  logon: { weighsNames: true, knowsLogon: false },
};

export interface Outcome {
  requests: number;
  /** Requests of one agent at two live instances. */
  splits: number;
  /** Agents moved by the request of another one. */
  moves: number;
  /** Requests that reached no instance. */
  refused: number;
  first: string | undefined;
}

export function nothingYet(): Outcome {
  return { requests: 0, splits: 0, moves: 0, refused: 0, first: undefined };
}

const ORDERS = [
  ['header', 'cookie', 'body'],
  ['body', 'header', 'cookie'],
];
const configs = new Map<string, Config>();

function configFor({ knowsLogon }: Rules, order: readonly string[]): Config {
  const key = `${knowsLogon} ${order}`;
  let config = configs.get(key);
  if (config === undefined) {
    const text = JSON.stringify({
      pools: [
        {
          name: 'ici',
          mode: 'sticky',
          instances: INSTANCES.map((id, i) => ({ id, url: `http://127.0.0.1:${8001 + i}` })),
        },
      ],
      identity: { order, logon: knowsLogon ? LOGON : [] },
    });
    config = loadConfig({ file: 'dialogues.yaml', text, env: {} }).config;
    configs.set(key, config);
  }
  return config;
}

/** One seed: some dialogues through three gateways, with changes of views and cache evictions. */
export async function runWorld(
  seed: number,
  store: AffinityStore,
  rules: Rules,
  outcome: Outcome,
): Promise<void> {
  const random = new Random(seed);
  const next = (): number => random.next();
  const site = new Site({
    config: configFor(rules, random.of(ORDERS)),
    store,
    balancer: random.of(BALANCERS),
    cacheEntries: random.of([1, 4, 12, 100]),
    random: next,
    weighsNames: rules.weighsNames,
  });
  const oracle = new Oracle();
  const cookie = `SHARED_${seed}`;
  const dialogues = Array.from(
    { length: DIALOGUES_AT_ONCE },
    (_, i) => new Dialogue(`W${seed}_AGENT${i}`, random.of(STYLES), cookie, random),
  );

  const tell = (what: string, message: Message): void => {
    outcome.first ??= `seed ${seed}: ${what}, by ${message.rawHeaders.join(' ')} ${message.body}`;
  };
  const one = async (dialogue: Dialogue): Promise<void> => {
    const { said, named } = dialogue.say(dialogues);
    const others = named.filter((person) => person !== dialogue);
    const message = messageOf(said, random);
    const before = others.length === 0 ? undefined : await placesOf(store, others);
    const instance = await site.serve(random.below(GATEWAYS), message);
    outcome.requests += 1;
    if (before !== undefined) {
      const after = await placesOf(store, others);
      const isMoved = before.some(
        (place, i) => place !== undefined && place !== after[i] && !site.down.has(place),
      );
      if (isMoved) outcome.moves += 1;
      if (isMoved) tell(`${dialogue.user} moved ${others.map(({ user }) => user)}`, message);
    }
    if (instance === undefined) {
      outcome.refused += 1;
      return;
    }
    const split = oracle.served(dialogue.user, instance);
    if (split === undefined) return;
    outcome.splits += 1;
    tell(split, message);
  };

  for (let turn = 0; turn < DIALOGUES_AT_ONCE * REQUESTS_EACH; turn += 1) {
    if (random.chance(0.02)) site.restart(random.below(GATEWAYS));
    if (random.chance(0.015)) changeView(site, oracle, random);
    // Sometimes two agents at once.
    const speaker = random.of(dialogues);
    const another = random.of(dialogues);
    if (another === speaker || random.chance(0.7)) await one(speaker);
    else await Promise.all([one(speaker), one(another)]);
  }
}

function changeView(site: Site, oracle: Oracle, random: Random): void {
  const down = new Set(site.down);
  const id = random.of(INSTANCES);
  if (down.has(id)) down.delete(id);
  else if (down.size < INSTANCES.length - 1) {
    down.add(id);
    oracle.lost(id);
  }
  site.see(down);
}
