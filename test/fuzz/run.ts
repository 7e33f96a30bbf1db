/**
 * Sends mutated messages to all ports of a gateway, and stops at the first that harms or deceives it.
 *
 *   npm run trial fuzz -- --seconds 300 --seed 1
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { ClassName } from './classes.ts';
import { CLASSES } from './classes.ts';
import { Site } from './site.ts';

const USAGE = `Sends mutated messages to a gateway before an instance that records every byte.

  --seconds N    for how long (default 300)
  --seed S       of the messages (default: a random one, which is printed)
  --only CLASS   one class alone: ${Object.keys(CLASSES).join(', ')}
  --path P       of that class, the message that a report names
  --help
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '300' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      only: { type: 'string' },
      path: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const { only, path } = values;
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
  const isKnown = only === undefined || Object.hasOwn(CLASSES, only);
  if (
    values.help ||
    !(seconds > 0) ||
    !Number.isInteger(seed) ||
    !isKnown ||
    (path !== undefined && only === undefined)
  ) {
    process.stdout.write(USAGE);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  process.stdout.write(`seed ${seed}\n`);
  const names = only === undefined ? (Object.keys(CLASSES) as ClassName[]) : [only as ClassName];
  const site = await Site.start();
  try {
    for (const name of names) {
      const { share, run } = CLASSES[name];
      const durationMs = 1_000 * seconds * (only === undefined ? share : 1);
      const { messages, failure } = await run(site, { seed, path, durationMs });
      process.stdout.write(
        `${name}: ${messages} messages, ${failure === undefined ? 'none' : 'one'} failed\n`,
      );
      if (failure === undefined) continue;
      process.exitCode = 1;
      process.stdout.write(`\n${failure.why}\n\nsmallest: ${failure.message}\n`);
      process.stdout.write(
        `again: npm run trial fuzz -- --seed ${seed} --only ${name} --path ${failure.path}\n`,
      );
    }
  } finally {
    await site.close();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`fuzz: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 2;
});
