import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClassName } from './classes.ts';
import { CLASSES } from './classes.ts';
import { Site } from './site.ts';

/*
 * The first seconds of `npm run trial fuzz`. Always the same messages, so that a change that breaks one is found; the
 * trial draws others.
 */

const SEED = 1;
const DURATION_MS = 5_000;

let site: Site;
beforeAll(async () => {
  site = await Site.start();
});
afterAll(() => site.close());

test.each(Object.keys(CLASSES) as ClassName[])(
  'no message harms the gateway or deceives it: %s',
  async (name) => {
    const { share, run } = CLASSES[name];
    const { messages, failure } = await run(site, { seed: SEED, durationMs: share * DURATION_MS });
    expect(failure).toBeUndefined();
    expect(messages).toBeGreaterThan(0);
  },
);
