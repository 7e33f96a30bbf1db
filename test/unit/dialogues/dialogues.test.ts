import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Embedded } from '../../../src/affinity/embedded/store.ts';
import { openEmbedded } from '../../../src/affinity/embedded/store.ts';
import type { Rules } from '../../dialogues/world.ts';
import { MUTANTS, nothingYet, RULES, runWorld } from '../../dialogues/world.ts';

// The long form: npm run trial dialogues
const WORLDS = 6;

describe('random dialogues through three gateways', () => {
  let directory: string;
  let embedded: Embedded;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'ici-gateway-dialogues-'));
    embedded = openEmbedded({ directory });
  });
  afterAll(async () => {
    await embedded.close();
    rmSync(directory, { recursive: true });
  });

  async function run(name: string, rules: Rules) {
    const store = embedded.store(name, { idleLifetimeMs: 3_600_000 });
    const outcome = nothingYet();
    for (let seed = 1; seed <= WORLDS; seed += 1) await runWorld(seed, store, rules, outcome);
    return outcome;
  }

  test('serve each agent at one live instance, whatever others ask for', async () => {
    const outcome = await run('rules', RULES);

    expect(outcome).toMatchObject({ splits: 0, moves: 0, refused: 0, first: undefined });
    expect(outcome.requests).toBeGreaterThan(WORLDS * 150);
  });

  test('would split and move agents if found names counted like asserted ones', async () => {
    const { splits, moves } = await run('mutant', MUTANTS['evidence'] as Rules);

    expect(splits).toBeGreaterThan(0);
    expect(moves).toBeGreaterThan(0);
  });
});
