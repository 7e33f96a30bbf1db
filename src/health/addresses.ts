import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { InstanceId } from '../core/instance.ts';

/** Returns the addresses of a host name, in order of preference. Rejects if the name cannot be resolved. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** The addresses of each instance that has a host name, once they are known. */
export type KnownAddresses = ReadonlyMap<InstanceId, readonly string[]>;

export interface AddressesOptions {
  /** The host of each instance as its URL names it. */
  readonly hosts: ReadonlyMap<InstanceId, string>;
  readonly everyMs: number;
  readonly onChange: (moved: InstanceId) => void;
  readonly resolve?: Resolve;
}

/**
 * Resolves the host names of one pool's instances at intervals. Only this class does, so all probes and requests of a
 * gateway go to the same addresses, whatever order the system's resolver returns.
 */
export class Addresses {
  readonly #options: AddressesOptions;
  readonly #known = new Map<InstanceId, readonly string[]>();
  readonly #names: ReadonlyMap<InstanceId, string>;
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;
  #isStopped = false;

  constructor(options: AddressesOptions) {
    this.#options = options;
    const hosts = [...options.hosts].map(([id, host]) => [id, host.replace(/^\[(.*)\]$/, '$1')] as const);
    this.#names = new Map(hosts.filter(([, host]) => isIP(host) === 0));
  }

  get known(): KnownAddresses {
    return this.#known;
  }

  start(): void {
    if (this.#names.size === 0) return;
    this.#timer = setInterval(() => void this.#look(), this.#options.everyMs).unref();
    void this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#isStopped = true;
  }

  async #look(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    await Promise.all([...this.#names].map(([id, host]) => this.#resolve(id, host)));
    this.#isRunning = false;
  }

  async #resolve(id: InstanceId, host: string): Promise<void> {
    const { resolve = byTheSystem, onChange } = this.#options;
    const found = await resolve(host).catch((): readonly string[] => []);
    // Keep the known addresses if the resolver does not answer.
    if (found.length === 0 || this.#isStopped) return;
    const known = this.#known.get(id);
    const kept = known?.filter((address) => found.includes(address)) ?? [];
    // A name can have several addresses whose order and number change. Keep those that are still valid.
    const next = kept.length > 0 ? kept : found;
    if (known !== undefined && next.length === known.length && kept.length > 0) return;
    this.#known.set(id, next);
    onChange(id);
  }
}

async function byTheSystem(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
