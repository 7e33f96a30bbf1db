import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenApiDocument } from '../../src/admin/openapi.ts';
import { AnswerContract } from '../support/answer-contract.ts';
import type { TokenFile } from '../support/operator.ts';
import { TOKEN, writeTokenFile } from '../support/operator.ts';
import type { LogLine, TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { PROBE_PATH, Recorder } from './recorder.ts';

// Long enough for a busy machine.
const DEADLINE_MS = 10_000;

/** The gateway under test, with all of its ports, before an instance that records what it receives. */
export class Site {
  readonly recorder: Recorder;
  readonly gateway: TestGateway;
  /** Such as `GET /pools/{pool}/events`. */
  adminRoutes: readonly string[] = [];
  readonly #token: TokenFile;
  readonly #folder: string;
  readonly #crashes: unknown[] = [];
  readonly #onCrash = (error: unknown): void => {
    this.#crashes.push(error);
  };
  #counted: Counted = { requests: 0, errors: 0 };

  private constructor(recorder: Recorder, gateway: TestGateway, token: TokenFile, folder: string) {
    this.recorder = recorder;
    this.gateway = gateway;
    this.#token = token;
    this.#folder = folder;
  }

  static async start(): Promise<Site> {
    const recorder = await Recorder.start();
    const token = writeTokenFile();
    const folder = mkdtempSync(join(tmpdir(), 'ici-gateway-fuzz-'));
    const gateway = await startTestGateway(
      `pools:
  - name: ici
    mode: sticky
    health: { path: ${PROBE_PATH}, interval: 1s }
    instances: [{ id: a, url: '${recorder.url}' }]
limits: { headerBytes: 8KB, headers: 40, bodyBytes: 16KB, identityBytes: 8KB }
sapcontrol: { instanceNumber: '07', address: '127.0.0.1:0', socket: '${join(folder, 'socket')}' }
`,
      { env: token.env },
    );
    const site = new Site(recorder, gateway, token, folder);
    process.on('uncaughtException', site.#onCrash).on('unhandledRejection', site.#onCrash);
    const described = await fetch(`${gateway.adminUrl}/openapi.json`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    site.adminRoutes = new AnswerContract((await described.json()) as OpenApiDocument).routes;
    await site.begin();
    return site;
  }

  async close(): Promise<void> {
    process.off('uncaughtException', this.#onCrash).off('unhandledRejection', this.#onCrash);
    await this.gateway.close();
    await this.recorder.close();
    this.#token.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Forgets what earlier messages left. */
  async begin(): Promise<void> {
    this.gateway.log.length = 0;
    this.#crashes.length = 0;
    this.recorder.forget();
    this.#counted = await countedBy(this.gateway);
  }

  /** What a message must never do, whatever it is. */
  expectUnharmed(): void {
    const [crash] = this.#crashes;
    if (crash !== undefined) throw new Error('a crash', { cause: crash });
    const line = this.gateway.log.find(isAlarming);
    if (line !== undefined) throw new Error(`logged: ${JSON.stringify(line)}`);
  }

  /** The requests and errors that the gateway has counted since `begin`. */
  async counted(): Promise<Counted> {
    const { requests, errors } = await countedBy(this.gateway);
    return { requests: requests - this.#counted.requests, errors: errors - this.#counted.errors };
  }
}

export interface Counted {
  readonly requests: number;
  readonly errors: number;
}

/** From level `error` on, or an error of the gateway itself. */
function isAlarming({ level, error }: LogLine): boolean {
  return level >= 50 || error === 'GW_INTERNAL';
}

async function countedBy({ metrics }: TestGateway): Promise<Counted> {
  const sum = async (name: string): Promise<number> => {
    const all = (await metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
    return all.reduce((total, { value }) => total + value, 0);
  };
  return { requests: await sum('gateway_requests_total'), errors: await sum('gateway_errors_total') };
}

/** Waits until there is no more problem; fails with it when time is up. */
export async function settled(problem: () => string | undefined): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  for (let turns = 0; ; turns += 1) {
    const what = problem();
    if (what === undefined) return;
    if (performance.now() > deadline) throw new Error(what);
    // Nearly always the next turns of the event loop bring it.
    await new Promise<void>((wake) => {
      if (turns < 20) setImmediate(wake);
      else setTimeout(wake, 1);
    });
  }
}
