import { Redis } from 'ioredis';

/** The counters of a Redis at one moment. */
interface Reading {
  readonly at: number;
  readonly scripts: number;
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly cpuMs: number;
}

/** The work of a Redis between two moments. */
export interface RedisCost {
  readonly seconds: number;
  /** Scripts run by clients: each is one round trip. */
  readonly scripts: number;
  /** Commands, including those within scripts. */
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly cpuMs: number;
}

// `INFO all` in the wire format.
const INFO_BYTES = 27;

/** Reads the counters of a Redis (INFO), over a separate connection. */
export class RedisMeter {
  readonly #client: Redis;

  constructor(url: string) {
    this.#client = new Redis(url);
  }

  /** Begins a measurement; the function that it resolves to ends it. */
  async begin(): Promise<() => Promise<RedisCost>> {
    const [before, answer] = await this.#read();
    return async () => {
      const [after] = await this.#read();
      return {
        seconds: (after.at - before.at) / 1_000,
        scripts: after.scripts - before.scripts,
        // The cost of the first reading was counted after it; that of the second is not counted yet.
        commands: after.commands - before.commands - 1,
        bytesIn: after.bytesIn - before.bytesIn - INFO_BYTES,
        bytesOut: after.bytesOut - before.bytesOut - Buffer.byteLength(answer),
        cpuMs: after.cpuMs - before.cpuMs,
      };
    };
  }

  close(): void {
    this.#client.disconnect();
  }

  async #read(): Promise<[Reading, string]> {
    const info = await this.#client.info('all');
    const number = (field: string): number =>
      Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(info)?.[1] ?? Number.NaN);
    const calls = callsIn(info);
    const reading = {
      at: performance.now(),
      scripts: (calls.get('evalsha') ?? 0) + (calls.get('eval') ?? 0),
      commands: [...calls.values()].reduce((sum, count) => sum + count, 0),
      bytesIn: number('total_net_input_bytes'),
      bytesOut: number('total_net_output_bytes'),
      cpuMs: (number('used_cpu_user') + number('used_cpu_sys')) * 1_000,
    };
    return [reading, info];
  }
}

function callsIn(info: string): Map<string, number> {
  const lines = info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm);
  return new Map([...lines].map(([, command = '', calls]) => [command, Number(calls)]));
}
