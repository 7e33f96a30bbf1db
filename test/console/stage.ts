import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GatewayStatus, InstanceStatus, PoolStatus } from '../../src/core/gateway-status.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import type { Ended } from '../support/cli.ts';
import { runCommand } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { post } from '../support/load.ts';
import type { Answer } from '../support/operator.ts';
import { ask } from '../support/operator.ts';
import type { RedisServer } from '../support/redis-server.ts';
import { startRedis } from '../support/redis-server.ts';
import { subscribeEnvelope } from '../support/soap.ts';
import type { UserName } from './users.ts';
import { ROLE_OF, writePasswordFile } from './users.ts';

/** The token of the command line, of the role `admin`. */
const TOKEN = 'token-of-the-command-line-0123456789';

export interface StageOptions {
  readonly gateways?: number;
  /** Of each gateway; 0 is a single process. */
  readonly workers?: number;
  /** Without users the gateways answer this machine only, and nothing can be changed. */
  readonly users?: readonly UserName[];
  /** More options of the section `admin`. */
  readonly admin?: Record<string, unknown>;
  /** More options at the top of the configuration. */
  readonly more?: Record<string, unknown>;
}

/** Gateways on a Redis of their own, before simulated connectors a, b and c, with users for the console. */
export class Stage {
  readonly redis: RedisServer;
  readonly gateways: GatewayProcess[] = [];
  readonly connectors: readonly SimulatedConnector[];
  readonly folder = mkdtempSync(join(tmpdir(), 'ici-gateway-console-'));
  readonly #options: StageOptions;

  private constructor(redis: RedisServer, connectors: readonly SimulatedConnector[], options: StageOptions) {
    this.redis = redis;
    this.connectors = connectors;
    this.#options = options;
    writeFileSync(this.tokenFile, `${TOKEN}\n`, { mode: 0o600 });
    this.setUsers(options.users ?? (Object.keys(ROLE_OF) as UserName[]));
  }

  static async start(options: StageOptions = {}): Promise<Stage> {
    const redis = await startRedis();
    const connectors = await Promise.all(['a', 'b', 'c'].map((name) => startConnector({ name })));
    const stage = new Stage(redis, connectors, options);
    try {
      for (let i = 0; i < (options.gateways ?? 2); i += 1) await stage.startGateway();
      await stage.settled();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  get tokenFile(): string {
    return join(this.folder, 'token');
  }

  get passwordFile(): string {
    return join(this.folder, 'passwords');
  }

  setUsers(users: readonly UserName[]): void {
    writePasswordFile(this.passwordFile, users);
  }

  config(): Record<string, unknown> {
    const { workers = 0, users, admin = {}, more = {} } = this.#options;
    // A gateway that a busy machine keeps from running for half of the time-out withholds its report, which is an alarm.
    const health = { path: '/health', interval: '500ms', fastInterval: '100ms', fall: 2, timeout: '10s' };
    const instances = this.connectors.map(({ name, url }) => ({ id: name, url }));
    const access =
      users?.length === 0
        ? {}
        : {
            passwordFile: this.passwordFile,
            tokens: [{ name: 'command-line', role: 'admin', file: this.tokenFile }],
          };
    return {
      workers,
      admin: { address: '127.0.0.1:0', ...access, ...admin },
      pools: [
        // A health page that shows the incarnation, so that an instance that was only cut off is quarantined.
        {
          name: 'ici',
          mode: 'sticky',
          health: { ...health, incarnationPointer: '/incarnation' },
          instances,
        },
        {
          name: 'phone',
          mode: 'failover',
          health,
          match: { paths: ['/phone'] },
          instances: instances.slice(0, 2).map((one, i) => ({ ...one, priority: i + 1 })),
        },
      ],
      affinity: { redis: { url: this.redis.url } },
      ...more,
    };
  }

  async startGateway(): Promise<GatewayProcess> {
    const replica = `gateway-${this.gateways.length + 1}`;
    const gateway = await startGatewayProcess({ ...this.config(), coordination: { replica } });
    this.gateways.push(gateway);
    return gateway;
  }

  gateway(index = 0): GatewayProcess {
    const gateway = this.gateways[index];
    if (gateway === undefined) throw new Error(`there is no gateway ${index}`);
    return gateway;
  }

  connector(name: string): SimulatedConnector {
    const found = this.connectors.find((one) => one.name === name);
    if (found === undefined) throw new Error(`there is no connector ${name}`);
    return found;
  }

  /** Asks the admin port of a gateway as the command line does. */
  ask(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown, index = 0): Promise<Answer> {
    return ask(this.gateway(index).adminUrl, method, path, body, TOKEN);
  }

  async status(index = 0): Promise<GatewayStatus> {
    return (await this.ask('GET', '/status', undefined, index)).body;
  }

  async pool(name: string, index = 0): Promise<PoolStatus> {
    const found = (await this.status(index)).pools.find((one) => one.name === name);
    if (found === undefined) throw new Error(`there is no pool ${name}`);
    return found;
  }

  async instance(pool: string, id: string, index = 0): Promise<InstanceStatus> {
    const found = (await this.pool(pool, index)).instances.find((one) => one.id === id);
    if (found === undefined) throw new Error(`there is no instance ${id}`);
    return found;
  }

  /** Runs `ici-gateway` with these words, as an operator at a terminal would. */
  command(words: readonly string[], index = 0): Promise<Ended> {
    return runCommand(words, {
      ICI_GATEWAY_ADMIN__URL: this.gateway(index).adminUrl,
      ICI_GATEWAY_ADMIN__TOKEN_FILE: this.tokenFile,
    });
  }

  /** The same; rejects unless it succeeds. */
  async did(words: readonly string[], index = 0): Promise<string> {
    const { code, out, err } = await this.command(words, index);
    if (code !== 0) throw new Error(`ici-gateway ${words.join(' ')} ended with ${code}: ${err}`);
    return out;
  }

  /** Sends a request of each agent; the answer is where it is bound. */
  async bind(agents: readonly string[], path = '', index = 0): Promise<Map<string, string>> {
    const places = new Map<string, string>();
    for (const agent of agents) {
      const { connector, status, code } = await post(`${this.gateway(index).url}${path}`, agent);
      if (connector === undefined) throw new Error(`${agent} got ${status} ${code}`);
      places.set(agent, connector);
    }
    return places;
  }

  /** Sends a request that names no agent. */
  async searchAgents(): Promise<void> {
    const body = subscribeEnvelope({ user: '*' }, 'searchAgents');
    const headers = { 'content-type': 'text/xml' };
    await (await fetch(this.gateway().url, { method: 'POST', headers, body })).text();
  }

  /** Resolves when every gateway finds every instance up, and acts on the agreed view. */
  async settled(): Promise<void> {
    await eventually(
      async () => {
        for (const index of this.gateways.keys())
          for (const { name, instances, view, replicas } of (await this.status(index)).pools) {
            const isUp = instances.every(({ health }) => health === 'up');
            if (!isUp || !view.effective || replicas.length !== this.gateways.length)
              throw new Error(`pool ${name} is not settled`);
          }
      },
      { within: 120_000 },
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.close()));
    await Promise.all(this.connectors.map((connector) => connector.close()));
    await this.redis.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
