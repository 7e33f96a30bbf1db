import { expect } from 'vitest';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { eventually } from './eventually.ts';
import type { GatewayProcess } from './gateway-process.ts';
import { startGatewayProcess } from './gateway-process.ts';
import type { Outcome, RunningLoad } from './load.ts';
import { startLoad, users } from './load.ts';
import type { RedisServer } from './redis-server.ts';
import { startRedis } from './redis-server.ts';

/** A separate Redis, three instances, and two gateways with three pools. */
export class GatewaysOnRedis {
  readonly redis: RedisServer;
  readonly gateways: GatewayProcess[] = [];
  readonly #connectors: readonly SimulatedConnector[];

  private constructor(redis: RedisServer, connectors: readonly SimulatedConnector[]) {
    this.redis = redis;
    this.#connectors = connectors;
  }

  static async start(): Promise<GatewaysOnRedis> {
    const redis = await startRedis();
    const connectors = await Promise.all(['a', 'b', 'c'].map((name) => startConnector({ name })));
    const stage = new GatewaysOnRedis(redis, connectors);
    await Promise.all([stage.startGateway(), stage.startGateway()]);
    return stage;
  }

  async close(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.close()));
    await Promise.all(this.#connectors.map((connector) => connector.close()));
    await this.redis.stop();
  }

  get urls(): string[] {
    return this.gateways.map(({ url }) => url);
  }

  /** @param limits of the store; the defaults if missing */
  async startGateway(limits: Record<string, string> = {}): Promise<GatewayProcess> {
    const shared = {
      // The instances are healthy, however slowly a busy machine answers.
      health: { path: '/health', timeout: '5s', fall: 5 },
      instances: this.#connectors.map(({ name, url }) => ({ id: name, url })),
    };
    const gateway = await startGatewayProcess({
      pools: [
        // Not a hash, so that a correct place proves that the binding was remembered and not computed again.
        { ...shared, name: 'ici', mode: 'sticky', balancer: 'random' },
        { ...shared, name: 'hashed', mode: 'sticky', balancer: 'rendezvous', match: { paths: ['/hashed'] } },
        // It needs no store, so its request times show the speed of the machine.
        { ...shared, name: 'storeless', mode: 'failover', match: { paths: ['/storeless'] } },
      ],
      affinity: { redis: { url: this.redis.url, ...limits } },
    });
    this.gateways.push(gateway);
    return gateway;
  }

  async storeIs(state: 'available' | 'away'): Promise<void> {
    await eventually(
      async () => {
        for (const gateway of this.gateways) {
          const { pools } = await gateway.status();
          for (const { affinity } of pools) expect(affinity.available).toBe(state === 'available');
        }
      },
      { within: 30_000, every: 20 },
    );
  }

  /** The connector of each agent; fails if two connectors answered one agent. */
  placesOf(outcomes: readonly Outcome[]): Map<string, string> {
    const places = new Map<string, string>();
    for (const { user, connector } of outcomes) {
      if (connector === undefined) continue;
      expect(places.get(user) ?? connector, `${user}\n${this.logs()}`).toBe(connector);
      places.set(user, connector);
    }
    return places;
  }

  /** The log lines of the gateways except requests: they show why an agent was moved, if that happens. */
  logs(): string {
    const lines = this.gateways.flatMap(({ log }, i) => log.map((line) => ({ gateway: i, ...line })));
    return lines
      .filter(({ msg }) => msg !== 'request')
      .map((line) => JSON.stringify(line))
      .join('\n');
  }

  /** A load of agents that no earlier test has used. Both gateways know each agent when it returns. */
  async loadOn(agents: number, prefix: string): Promise<RunningLoad> {
    const running = startLoad(this.urls, users(agents, prefix), 100);
    // Both gateways know each agent, because the requests alternate between them.
    await eventually(
      () => {
        const turns = new Map<string, number>();
        for (const { user } of running.outcomes) turns.set(user, (turns.get(user) ?? 0) + 1);
        expect([...turns.values()].filter((count) => count >= 4).length).toBe(agents);
      },
      { within: 30_000 },
    );
    return running;
  }
}

export async function requestsSince(running: RunningLoad, from: number, count: number): Promise<void> {
  await eventually(
    () =>
      expect(running.outcomes.filter((options) => options.startedAt > from).length).toBeGreaterThan(count),
    { within: 30_000 },
  );
}
