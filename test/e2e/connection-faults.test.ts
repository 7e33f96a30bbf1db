import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Certificate } from '../support/behind-balancer.ts';
import { makeCertificate } from '../support/behind-balancer.ts';

/** Uncaught errors: those of one connection end that connection, all others end the process. */

const SERVER = fileURLToPath(new URL('../fixtures/process/faulty-server.mjs', import.meta.url));

let certificate: Certificate;
beforeAll(() => {
  certificate = makeCertificate();
});
afterAll(() => certificate.remove());

function run(...place: string[]): { status: number | null; lines: Record<string, unknown>[]; words: string } {
  const args = [SERVER, certificate.certFile, certificate.keyFile, ...place];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return { status, lines: lines.map((line) => JSON.parse(line)), words: stderr };
}

test('an error that is thrown in an event of a connection ends only that connection', () => {
  const { status, lines, words } = run();
  expect(words).toBe('');
  expect(lines.map(({ msg }) => msg)).toEqual(Array.from({ length: 20 }, () => 'tied'));
  expect(lines.filter(({ isDestroyed }) => isDestroyed !== true)).toEqual([]);
  expect(new Set(lines.map(({ error }) => error))).toEqual(
    new Set(['a fault of this test', 'write after end']),
  );
  expect(status).toBe(7);
});

test.each(['a timer', 'a promise'])(
  'an error of %s, which may be of any connection, ends the process',
  (place) => {
    const { status, lines, words } = run(place);
    expect(lines.map(({ msg }) => msg)).toEqual([expect.stringMatching(/^crashed/)]);
    expect(words).toContain('a fault of this test');
    expect(status).toBe(1);
  },
);
