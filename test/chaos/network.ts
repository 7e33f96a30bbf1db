import type { Address } from './fault-proxy.ts';
import { startFaultProxy } from './fault-proxy.ts';

/** A machine of the experiment: with namespaces it has a separate network, otherwise it is this machine. */
export interface Host {
  readonly name: string;
  readonly address: string;
  /** The prefix of a command line to run on this host. */
  readonly prefix: readonly string[];
}

/** The hosts of an experiment, and the network between them. */
export interface Network {
  readonly kind: 'namespaces' | 'proxy';
  host(name: string): Promise<Host>;
  /**
   * The address at which a process on host `from` reaches a listener on host `to`. With a proxy
   * between the two, the target is looked up for each connection.
   */
  path(from: Host, to: Host, target: () => Address | Promise<Address>): Promise<Address>;
  /** Drops all packets between the two hosts, in both directions. */
  cut(a: Host, b: Host): Promise<void>;
  heal(a: Host, b: Host): Promise<void>;
  close(): Promise<void>;
}

/** All on one machine. Only a {@link Network.path} can be cut. */
export function proxyNetwork(): Network {
  const paths: { ends: ReadonlySet<Host>; proxy: Awaited<ReturnType<typeof startFaultProxy>> }[] = [];
  const between = (a: Host, b: Host) =>
    paths.filter(({ ends }) => ends.has(a) && ends.has(b)).map(({ proxy }) => proxy);
  return {
    kind: 'proxy',
    host: async (name) => ({ name, address: '127.0.0.1', prefix: [] }),
    path: async (from, to, target) => {
      const proxy = await startFaultProxy(target);
      paths.push({ ends: new Set([from, to]), proxy });
      return { host: proxy.host, port: proxy.port };
    },
    cut: async (a, b) => {
      for (const proxy of between(a, b)) proxy.silence();
    },
    heal: async (a, b) => {
      for (const proxy of between(a, b)) proxy.heal();
    },
    close: async () => {
      await Promise.all(paths.map(({ proxy }) => proxy.close()));
    },
  };
}
