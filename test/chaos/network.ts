import type { Address } from './fault-proxy.ts';
import { startFaultProxy } from './fault-proxy.ts';

/** A machine of the experiment: in namespaces it has a network of its own, else it is this machine. */
export interface Host {
  readonly name: string;
  readonly address: string;
  /** What a command line begins with, to run on this host. */
  readonly prefix: readonly string[];
}

/** The hosts of an experiment, and what is between them. */
export interface Network {
  readonly kind: 'namespaces' | 'proxy';
  host(name: string): Promise<Host>;
  /**
   * Where a process on host `from` finds what listens on host `to`. The target is
   * asked for again with each connection where a proxy is between the two.
   */
  path(from: Host, to: Host, target: () => Address | Promise<Address>): Promise<Address>;
  /** Nothing passes between the two hosts any more, in either direction, and nobody is told. */
  cut(a: Host, b: Host): Promise<void>;
  heal(a: Host, b: Host): Promise<void>;
  close(): Promise<void>;
}

/** All on one machine. What can be cut off is what goes through a {@link Network.path}. */
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
