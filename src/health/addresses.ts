import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { InstanceId } from '../core/instance.ts';

/** The addresses of a host name, in the order of preference. Rejects where the name cannot be resolved. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** Of each instance that has a host name: its addresses, once they are known. */
export type KnownAddresses = ReadonlyMap<InstanceId, readonly string[]>;

export interface AddressesOptions {
  /** Host of each instance, as its URL has it. */
  readonly hosts: ReadonlyMap<InstanceId, string>;
  readonly everyMs: number;
  readonly onChange: (moved: InstanceId) => void;
  readonly resolve?: Resolve;
}

/**
 * Where the instances of one pool are. Their names are resolved here alone, and
 * again and again: probes and requests of a whole gateway go to the same
 * addresses, however the resolver of the system answers each of them.
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
    // A resolver that does not answer changes no address.
    if (found.length === 0 || this.#isStopped) return;
    const known = this.#known.get(id);
    const kept = known?.filter((address) => found.includes(address)) ?? [];
    // Where a name has several addresses, whose order and number change, those stay that are still right.
    const next = kept.length > 0 ? kept : found;
    if (known !== undefined && next.length === known.length && kept.length > 0) return;
    this.#known.set(id, next);
    onChange(id);
  }
}

async function byTheSystem(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
