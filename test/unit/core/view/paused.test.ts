import { expect, test } from 'vitest';
import type { Replica } from '../../../../src/core/view/replica.ts';
import { ViewStore } from '../../../../src/core/view/view-store.ts';
import { aReplica, rulesOf } from '../../../support/replicas.ts';

const TIMES = { leaseMs: 60_000, joinMs: 20_000 };
const GENERATION = 'generation';

/** A gateway whose clocks the test moves, on a view store with a clock of its own. */
class Gateway {
  readonly replica: Replica;
  readonly #viewStore: ViewStore;
  #clock = 0;

  constructor(id: string, viewStore: ViewStore) {
    this.#viewStore = viewStore;
    this.replica = aReplica({ id, leaseMs: TIMES.leaseMs, rules: rulesOf(['a', 'b'], { quorum: 'any' }) });
    this.sees('up');
  }

  sees(health: 'up' | 'down'): void {
    const up = { health: 'up', incarnation: '', emptyAt: 0 } as const;
    this.replica.setReport({ verdicts: { a: { ...up, health }, b: up }, settled: true, idle: false });
  }

  passTime(ms: number): void {
    this.#clock += ms;
  }

  sync(now: number): void {
    const { replica } = this;
    const sent = { mono: this.#clock, wall: this.#clock };
    const request = replica.request(sent);
    replica.accept(request, this.#viewStore.sync(request, GENERATION, now), sent, sent);
    replica.restored(GENERATION);
    const proposal = replica.proposal(() => undefined);
    if (proposal !== undefined && this.#viewStore.propose(proposal, GENERATION, now))
      replica.proposed(proposal.view, sent);
  }

  get mode(): string {
    return this.replica.modeAt(this.#clock, this.#clock);
  }
}

test('a machine whose clocks both stood still loses its lease with the first answer of the view store', () => {
  const viewStore = new ViewStore(TIMES);
  const [paused, other] = [new Gateway('g1', viewStore), new Gateway('g2', viewStore)];
  let now = 0;
  const third = (gateways: readonly Gateway[]): void => {
    now += TIMES.leaseMs / 3;
    for (const gateway of gateways) gateway.passTime(TIMES.leaseMs / 3);
    for (let round = 0; round < 4; round += 1) for (const gateway of gateways) gateway.sync(now);
  };
  for (let i = 0; i < 6; i += 1) third([paused, other]);
  expect([paused.mode, other.mode, viewStore.fencingTokenAt(now) !== '']).toEqual(['leased', 'leased', true]);
  const { fencingToken } = paused.replica;

  // Its operator stops its machine; the others go on, and leave instance a.
  other.sees('down');
  for (let i = 0; i < 6; i += 1) third([other]);
  expect(other.replica.view.instances.get('a')?.health).toBe('down');
  expect(other.replica.isEffective).toBe(true);

  // By its own clocks no time has passed; only the view store shows that it has.
  expect(paused.mode).toBe('leased');
  expect(fencingToken).not.toBe(viewStore.fencingTokenAt(now));
  paused.sync(now);
  expect(paused.mode).toBe('waiting');
  expect(paused.replica.fencingToken).not.toBe(fencingToken);
});
