import type { Config } from '../config/schema.ts';
import type { ListeningSocket } from './listening-socket.ts';
import type { ChildRole, SocketName } from './messages.ts';
import { SOCKET_NAMES, WORKER_SOCKETS } from './messages.ts';

export interface HostSocketsOptions {
  readonly bind: (address: string) => Promise<ListeningSocket>;
  /** Sockets from a service manager. They are used instead of binding, whatever address the configuration names. */
  readonly inherited: ReadonlyMap<SocketName, ListeningSocket>;
}

export type SocketsByName = Readonly<Partial<Record<SocketName, ListeningSocket>>>;

/**
 * The listening sockets of a gateway. They stay open while children come and go,
 * and across reloads that keep the address.
 */
export class HostSockets {
  readonly #options: HostSocketsOptions;
  readonly #bound = new Map<string, ListeningSocket>();

  constructor(options: HostSocketsOptions) {
    this.#options = options;
  }

  /**
   * Binds the configured addresses that are not bound yet. If one fails, closes the new ones and rejects. Only that of
   * SAPControl may fail: the controller then tries it by itself, says why it fails, and tries again.
   */
  async ensure(config: Config): Promise<void> {
    const added: string[] = [];
    try {
      for (const [name, address] of namedBy(config)) {
        const key = keyOf(name, address);
        if (this.#options.inherited.has(name) || this.#bound.has(key)) continue;
        const socket = await this.#options.bind(address).catch((error: unknown) => {
          if (name !== 'sapcontrol') throw error;
        });
        if (socket === undefined) continue;
        this.#bound.set(key, socket);
        added.push(key);
      }
    } catch (error) {
      for (const key of added) this.#close(key);
      throw error;
    }
  }

  /** The sockets on which a child of this role and configuration listens. */
  of(role: ChildRole, config: Config): SocketsByName {
    const all = Object.entries(this.all(config));
    return Object.fromEntries(all.filter(([name]) => WORKER_SOCKETS.has(name) === (role === 'worker')));
  }

  /** The sockets on which all children of this configuration together listen. */
  all(config: Config): SocketsByName {
    const sockets: Partial<Record<SocketName, ListeningSocket>> = {};
    for (const [name, address] of namedBy(config)) {
      const socket = this.#options.inherited.get(name) ?? this.#bound.get(keyOf(name, address));
      if (socket !== undefined) sockets[name] = socket;
    }
    return sockets;
  }

  /** Closes the sockets that the configuration does not name. */
  keepOnly(config: Config): void {
    const named = new Set(namedBy(config).map(([name, address]) => keyOf(name, address)));
    for (const key of [...this.#bound.keys()]) if (!named.has(key)) this.#close(key);
  }

  close(): void {
    for (const key of [...this.#bound.keys()]) this.#close(key);
    for (const socket of this.#options.inherited.values()) socket.close();
  }

  #close(key: string): void {
    this.#bound.get(key)?.close();
    this.#bound.delete(key);
  }
}

function namedBy({ listen, admin, sapcontrol, peers }: Config): [SocketName, string][] {
  const addresses: Partial<Record<SocketName, string>> = { data: listen.address, admin: admin.address };
  if (sapcontrol !== undefined) addresses.sapcontrol = sapcontrol.address;
  if (peers !== undefined) addresses.peers = peers.address;
  return SOCKET_NAMES.flatMap((name): [SocketName, string][] => {
    const address = addresses[name];
    return address === undefined ? [] : [[name, address]];
  });
}

function keyOf(name: SocketName, address: string): string {
  return `${name} ${address}`;
}
