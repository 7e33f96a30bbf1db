import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/load.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import type { Team } from './watch.ts';
import { TeamWatch } from './watch.ts';

export const INSTANCES = ['a', 'b', 'c', 'd'] as const;
const GATEWAYS = 3;
const AT_ONCE = 60;
// Known agents restart the lifetime of their bindings only every twentieth of it.
const RENEWED_SHARE = 0.9;
const WHY = { why: 'test of groups' };

export interface SiteOptions {
  readonly redisUrl: string;
  readonly keyPrefix: string;
  readonly teams: readonly Team[];
  /** How long a binding lives without a request of its agent. */
  readonly idleMs: number;
}

/** Teams that work through three gateways at four connectors. */
export class TeamSite {
  readonly watch: TeamWatch;
  readonly gateways: TestGateway[] = [];
  readonly #connectors = new Map<string, SimulatedConnector>();
  readonly #directory = mkdtempSync(join(tmpdir(), 'ici-gateway-groups-'));
  readonly #token = writeTokenFile();
  readonly #options: SiteOptions;

  private constructor(options: SiteOptions) {
    this.#options = options;
    this.watch = new TeamWatch(options.teams, options.idleMs * RENEWED_SHARE);
  }

  static async start(options: SiteOptions): Promise<TeamSite> {
    const site = new TeamSite(options);
    site.writeTeams(options.teams);
    try {
      for (const name of INSTANCES) site.#connectors.set(name, await startConnector({ name }));
      for (let i = 0; i < GATEWAYS; i += 1) site.gateways.push(await site.#startGateway());
      await eventually(() => {
        for (const gateway of site.gateways) site.#requireUp(gateway, INSTANCES);
      });
      return site;
    } catch (error) {
      await site.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.close()));
    await Promise.all([...this.#connectors.values()].map((connector) => connector.close()));
    this.#token.remove();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Replaces the file of groups as an editor does. */
  writeTeams(teams: readonly Team[]): void {
    const lines = teams.flatMap(({ name, members }) => members.map((member) => `${member};${name}\n`));
    writeFileSync(`${this.#file}.new`, lines.join(''));
    renameSync(`${this.#file}.new`, this.#file);
  }

  /** Resolves once each gateway knows by the present file that the user belongs to a group. */
  everyGatewayReads(user: string): Promise<void> {
    return eventually(() => {
      for (const { pools, url } of this.gateways)
        if (pools[0]?.groups?.ofUser(user) === undefined)
          throw new Error(`${url} has not read the file again`);
    });
  }

  /** Each agent sends one request, in random order, through any gateway. */
  async round(agents: readonly string[]): Promise<void> {
    const left = shuffled(agents);
    const lane = async (): Promise<void> => {
      for (let agent = left.pop(); agent !== undefined; agent = left.pop())
        this.watch.see(await post(this.#anyGateway().url, agent));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  }

  /** The agents send requests, round after round, while the event goes on and once more after it. */
  async during(agents: readonly string[], event: () => Promise<unknown>): Promise<void> {
    let isOver = false;
    const running = event().finally(() => {
      isOver = true;
    });
    while (!isOver) await this.round(agents);
    await running;
    await this.round(agents);
  }

  /** The instance ends without a word, and the gateways know it. */
  async kill(id: string): Promise<void> {
    this.watch.lost(id);
    await this.#connectors.get(id)?.close();
    this.watch.lost(id);
    await this.#all(id, ({ health }) => health === 'down');
  }

  /** The instance starts as a new one at the same address. */
  async restart(id: string): Promise<void> {
    const port = this.#connectors.get(id)?.port;
    if (port === undefined) throw new Error(`no instance ${id}`);
    this.#connectors.set(id, await startConnector({ name: id, port }));
    await this.#all(id, ({ health, quarantined }) => health === 'up' && !quarantined);
  }

  async drain(id: string): Promise<void> {
    const [gateway] = this.gateways as [TestGateway];
    const { status, body } = await ask(gateway.adminUrl, 'POST', `/pools/ici/instances/${id}/drain`, WHY);
    if (status !== 200) throw new Error(JSON.stringify(body));
    await this.#all(id, ({ admin }) => admin === 'draining' || admin === 'disabled');
  }

  /** All go home: their bindings end. */
  async endOfShift(): Promise<void> {
    await eventually(
      () => {
        for (const gateway of this.gateways)
          for (const { id, boundAgents } of gateway.status().pools[0]?.instances ?? [])
            if (boundAgents > 0) throw new Error(`${boundAgents} agents are still bound to ${id}`);
      },
      { within: 10 * this.#options.idleMs },
    );
    this.watch.forget();
  }

  async #all(id: string, is: (instance: InstanceOf) => boolean): Promise<void> {
    await eventually(
      () => {
        for (const gateway of this.gateways) {
          const [pool] = gateway.status().pools;
          const instance = pool?.instances.find((one) => one.id === id);
          if (instance === undefined || !is(instance) || pool?.view.effective !== true)
            throw new Error(`${gateway.url} does not know of ${id} yet: ${JSON.stringify(instance)}`);
        }
      },
      { within: 30_000, every: 10 },
    );
  }

  #requireUp(gateway: TestGateway, ids: readonly string[]): void {
    const [pool] = gateway.status().pools;
    const up = pool?.instances.filter(({ health }) => health === 'up').map(({ id }) => id);
    if (ids.join() !== up?.join() || pool?.view.effective !== true) throw new Error(`up: ${up?.join()}`);
  }

  #anyGateway(): TestGateway {
    return this.gateways[Math.floor(Math.random() * this.gateways.length)] as TestGateway;
  }

  get #file(): string {
    return join(this.#directory, 'teams.csv');
  }

  async #startGateway(): Promise<TestGateway> {
    const { redisUrl, keyPrefix, idleMs } = this.#options;
    const config = {
      pools: [
        {
          name: 'ici',
          mode: 'sticky',
          balancer: 'least-bound',
          groups: { file: this.#file },
          health: {
            ...{ path: '/health', incarnationPointer: '/incarnation', timeout: '5s' },
            ...{ interval: '100ms', fastInterval: '50ms', fall: 2, rise: 1 },
          },
          instances: [...this.#connectors].map(([id, { url }]) => ({ id, url })),
        },
      ],
      affinity: { keyPrefix, idleLifetime: `${idleMs}ms`, redis: { url: redisUrl, commandTimeout: '1s' } },
      coordination: { lease: '3s' },
      logging: { level: 'warn' },
      workers: 0,
    };
    const lines = Object.entries(config).map(([section, value]) => `${section}: ${JSON.stringify(value)}`);
    return startTestGateway(lines.join('\n'), { env: this.#token.env });
  }
}

type InstanceOf = ReturnType<TestGateway['status']>['pools'][number]['instances'][number];

export function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
