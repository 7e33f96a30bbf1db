import { Redis } from 'ioredis';

/** What a Redis had done at one moment. */
interface Reading {
  readonly at: number;
  readonly scripts: number;
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly cpuMs: number;
}

/** What a Redis did between two moments. */
export interface RedisCost {
  readonly seconds: number;
  /** Scripts that clients ran: each is one round trip. */
  readonly scripts: number;
  /** Commands, those within scripts included. */
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly cpuMs: number;
}

// `INFO all` as it goes over the wire.
const INFO_BYTES = 27;

/** Reads what a Redis did from its own counters (INFO), over a connection of its own. */
export class RedisMeter {
  readonly #client: Redis;

  constructor(url: string) {
    this.#client = new Redis(url);
  }

  /** Begins a measure; the function that it resolves to ends it. */
  async begin(): Promise<() => Promise<RedisCost>> {
    const [before, answer] = await this.#read();
    return async () => {
      const [after] = await this.#read();
      return {
        seconds: (after.at - before.at) / 1_000,
        scripts: after.scripts - before.scripts,
        // What the first reading cost was counted after it, what the second did is not counted yet.
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
