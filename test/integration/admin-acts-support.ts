import { writeFileSync } from 'node:fs';
import type { InstanceStatus } from '../../src/core/gateway-status.ts';
import type { SimulatedConnector } from '../../src/simulator/connector.ts';
import { startConnector } from '../../src/simulator/connector.ts';
import { post } from '../support/load.ts';
import type { Answer, TokenFile } from '../support/operator.ts';
import { ask, writeTokenFile } from '../support/operator.ts';
import type { TestGateway, TestGatewayOptions } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

export const WHY = { why: 'patch the host' };

/** A gateway whose admin API takes changes, in front of the simulated connectors a, b and c. */
export class AdministeredGateway {
  readonly connectors: readonly SimulatedConnector[];
  readonly #token: TokenFile;
  #started: TestGateway | undefined;

  private constructor(connectors: readonly SimulatedConnector[]) {
    this.connectors = connectors;
    this.#token = writeTokenFile();
  }

  /** Starts only the connectors; the test starts the gateway. */
  static async prepare(): Promise<AdministeredGateway> {
    return new AdministeredGateway(
      await Promise.all(['a', 'b', 'c'].map((name) => startConnector({ name }))),
    );
  }

  async start(
    options: string,
    mode: 'sticky' | 'failover' = 'sticky',
    rest: TestGatewayOptions = {},
  ): Promise<void> {
    const instances = this.connectors.map(({ name, url }) => `{ id: ${name}, url: '${url}' }`);
    await this.startWith(
      `
pools:
  - name: ici
    mode: ${mode}
    health: { path: /health, interval: 200ms, fastInterval: 50ms, fall: 2, rise: 1 }
    instances: [${instances.join(', ')}]
    ${options}
`,
      { ...rest, env: { ...this.#token.env, ...rest.env } },
    );
  }

  /** Without a token, if the options have none. */
  async startWith(config: string, options: TestGatewayOptions = {}): Promise<void> {
    this.#started = await startTestGateway(config, options);
  }

  /** Replaces the content of the token file, which the gateway reads again. */
  replaceToken(token: string): void {
    writeFileSync(this.#token.path, token);
  }

  get gateway(): TestGateway {
    if (this.#started === undefined) throw new Error('the gateway is not started');
    return this.#started;
  }

  change(path: string, body: unknown = WHY): Promise<Answer> {
    return ask(this.gateway.adminUrl, 'POST', `/pools/ici${path}`, body);
  }

  read(path: string): Promise<Answer> {
    return ask(this.gateway.adminUrl, 'GET', `/pools/ici${path}`);
  }

  instance(id: string): InstanceStatus {
    const found = this.gateway.status().pools[0]?.instances.find((one) => one.id === id);
    if (found === undefined) throw new Error(`no instance ${id}`);
    return found;
  }

  get active(): string | undefined {
    return this.gateway.status().pools[0]?.active?.instance;
  }

  /** Logs the agents on, and returns the instance of each. */
  async place(agents: readonly string[]): Promise<Map<string, string | undefined>> {
    const outcomes = await Promise.all(agents.map((user) => post(this.gateway.url, user)));
    return new Map(outcomes.map(({ user, connector }) => [user, connector]));
  }

  async close(): Promise<void> {
    await this.#started?.close();
    await Promise.all(this.connectors.map((connector) => connector.close()));
    this.#token.remove();
  }
}
