import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CERTIFICATE, KEY } from '../unit/config/tls-fixture.ts';
import { findGenerator, load } from './load.ts';
import { cpuSeconds } from './processes.ts';
import type { SectionReport } from './report.ts';
import { spread } from './report.ts';
import { AGENTS, CONCURRENCY } from './requests.ts';
import type { Rounds } from './rounds.ts';
import { takeTurns } from './rounds.ts';
import { RSA_CERTIFICATE, RSA_KEY } from './rsa-certificate.ts';
import type { Stage } from './started.ts';
import { startGateway } from './started.ts';
import { judged } from './targets.ts';
import { askTls, requestBytes } from './wire-client.ts';

/**
 * TLS to a gateway with two workers: a request on a new connection, after a full handshake and on a resumed session.
 *
 * A resumed session saves the signature; in TLS 1.3 both kinds of handshake agree on new keys. A signature by RSA (2048
 * bits) costs half as much as the rest of the request, one by ECDSA (P-256) a sixth: with ECDSA even a bare server of
 * Node, without a request to forward, stays above the target.
 */

interface Sample {
  readonly fullMicros: number;
  readonly resumedMicros: number;
  /** The share of connections with a session that resumed it. */
  readonly resumed: number;
}

const SECONDS = 3;
const TURNS = 4;
const LEAD_IN_SECONDS = 5;
const MOST_CPU = 0.7;
const LEAST_RESUMED = 0.98;
/** By the key of the certificate. */
const KINDS = {
  RSA: { certificate: RSA_CERTIFICATE, key: RSA_KEY },
  ECDSA: { certificate: CERTIFICATE, key: KEY },
} as const;
type Kind = keyof typeof KINDS;
const KIND_NAMES = Object.keys(KINDS) as Kind[];
export const TLS_TURN_SECONDS = KIND_NAMES.length * (3 + LEAD_IN_SECONDS + 2 * SECONDS);

export async function measureTls(stage: Omit<Stage, 'turn'>, rounds: Rounds): Promise<SectionReport> {
  const generator = findGenerator();
  const turns = await takeTurns(KIND_NAMES, rounds, (kind, round) => turnOf(stage, generator, kind, round));
  const of = (kind: Kind, pick: (sample: Sample) => number): number[] => (turns.get(kind) ?? []).map(pick);
  const full = ({ fullMicros }: Sample): number => fullMicros;
  const again = ({ resumedMicros }: Sample): number => resumedMicros;
  const missed = KIND_NAMES.flatMap((kind) => of(kind, ({ resumed }) => 1 - resumed));
  return {
    title: 'TLS 1.3, a new connection per request, two workers',
    rows: [
      ['', 'CPU µs/request: min', 'median', 'max'],
      ...KIND_NAMES.flatMap((kind) => [
        [`${kind}, full handshake`, ...spread(of(kind, full))],
        [`${kind}, resumed session`, ...spread(of(kind, again))],
      ]),
    ],
    judged: [
      judged('CPU with RSA, resumed / full handshake', of('RSA', again), of('RSA', full), MOST_CPU),
      judged(
        'sessions that are not resumed, of those that may be',
        missed,
        missed.map(() => 1),
        1 - LEAST_RESUMED,
      ),
    ],
    data: Object.fromEntries(turns),
  };
}

async function turnOf(
  { bench, upstream, main }: Omit<Stage, 'turn'>,
  generator: ReturnType<typeof findGenerator>,
  kind: Kind,
  round: number,
): Promise<Sample> {
  const file = (name: string, content: string): string => {
    writeFileSync(join(bench.directory, name), content, { mode: 0o600 });
    return join(bench.directory, name);
  };
  const env = {
    ICI_GATEWAY_LISTEN__TLS__CERT_FILE: file('cert.pem', KINDS[kind].certificate),
    ICI_GATEWAY_LISTEN__TLS__KEY_FILE: file('key.pem', KINDS[kind].key),
  };
  const { url, program } = await startGateway(
    bench,
    upstream,
    `tls-${kind}-${round}`,
    ['--workers', '2'],
    env,
    main,
  );
  try {
    const requests = Array.from({ length: AGENTS }, (_, agent) => requestBytes(url, agent));
    const { session } = await askTls(url, requests[0] as Buffer);
    const own = { url, naming: 'header', connections: 'new', run: '', agents: AGENTS } as const;
    await load({ ...own, concurrency: CONCURRENCY, seconds: LEAD_IN_SECONDS }, generator, bench.directory);
    await handshakes(url, requests, 1, session);
    // In short turns, because the code of a worker still gets faster.
    const sums = { full: { seconds: 0, count: 0, resumed: 0 }, again: { seconds: 0, count: 0, resumed: 0 } };
    for (let turn = 0; turn < TURNS; turn += 1) {
      for (const how of (turn + round) % 2 === 0
        ? (['full', 'again'] as const)
        : (['again', 'full'] as const)) {
        const before = cpuSeconds(program.pid);
        const done = await handshakes(url, requests, SECONDS / TURNS, how === 'full' ? undefined : session);
        sums[how].seconds += cpuSeconds(program.pid) - before;
        sums[how].count += done.count;
        sums[how].resumed += done.resumed;
      }
    }
    const micros = ({ seconds, count }: (typeof sums)['full']): number => (seconds * 1e6) / count;
    const { full, again } = sums;
    return {
      fullMicros: micros(full),
      resumedMicros: micros(again),
      resumed: again.resumed / again.count,
    };
  } finally {
    await program.kill();
  }
}

/** A closed loop, in which every request has a connection of its own. */
async function handshakes(
  url: string,
  requests: readonly Buffer[],
  seconds: number,
  session?: Buffer,
): Promise<{ readonly count: number; readonly resumed: number }> {
  const until = performance.now() + seconds * 1_000;
  let count = 0;
  let resumed = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() < until) {
      const { isResumed } = await askTls(url, requests[count % requests.length] as Buffer, session);
      count += 1;
      if (isResumed) resumed += 1;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, loop));
  return { count, resumed };
}
