import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { findTool } from '../support/system-tools.ts';
import type { Host, Network } from './network.ts';

const run = promisify(execFile);

const IP = findTool('ip') ?? 'ip';
const PREFIX = 'ici-chaos-';
/** An unused address: every host on the bridge drops packets to it. */
const NOWHERE = '02:00:00:00:de:ad';

/** Whether this machine allows network namespaces; the reason if not. */
export function namespacesProblem(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  if (spawnSync(IP, ['-V']).status !== 0) return 'needs the program ip (package iproute2)';
  const probe = `${PREFIX}${process.pid}-probe`;
  const made = spawnSync(IP, ['netns', 'add', probe]);
  if (made.status !== 0) return `ip netns add: ${String(made.stderr).trim()}`;
  spawnSync(IP, ['netns', 'del', probe]);
  return undefined;
}

/**
 * One namespace for each host, on a bridge of which this process has the first
 * address. Two hosts are cut off by giving each a wrong hardware address for the
 * other: packets go out and reach no host, as behind a failed switch.
 */
export async function namespaceNetwork(): Promise<Network> {
  await removeLeftovers();
  const { pid } = process;
  const bridge = `icic${pid}`;
  const subnet = `10.${200 + (pid % 50)}.${Math.floor(pid / 50) % 250}`;
  const hosts: Host[] = [];
  const close = (): Promise<void> => remove(pid);
  try {
    await ip(
      `link add ${bridge} type bridge`,
      `addr add ${subnet}.1/24 dev ${bridge}`,
      `link set ${bridge} up`,
    );
  } catch (error) {
    await close();
    throw error;
  }
  return {
    kind: 'namespaces',
    host: async (name) => {
      const namespace = `${PREFIX}${pid}-${name}`;
      const end = `ic${pid}h${hosts.length}`;
      const host: Host = {
        name,
        address: `${subnet}.${hosts.length + 2}`,
        prefix: [IP, 'netns', 'exec', namespace],
      };
      hosts.push(host);
      await ip(
        `netns add ${namespace}`,
        `link add ${end} type veth peer name eth0 netns ${namespace}`,
        `link set ${end} master ${bridge} up`,
      );
      await within(namespace, `addr add ${host.address}/24 dev eth0`, 'link set eth0 up', 'link set lo up');
      return host;
    },
    path: async (_from, _to, target) => target(),
    cut: async (a, b) => {
      await Promise.all(
        ends(a, b).map(([one, other]) =>
          within(namespaceOf(one), `neigh replace ${other.address} lladdr ${NOWHERE} dev eth0 nud permanent`),
        ),
      );
    },
    heal: async (a, b) => {
      await Promise.all(
        ends(a, b).map(([one, other]) => within(namespaceOf(one), `neigh del ${other.address} dev eth0`)),
      );
    },
    close,
  };
}

function ends(a: Host, b: Host): [Host, Host][] {
  return [
    [a, b],
    [b, a],
  ];
}

function namespaceOf(host: Host): string {
  return host.prefix.at(-1) as string;
}

async function ip(...lines: string[]): Promise<void> {
  for (const line of lines) await run(IP, line.split(' '));
}

async function within(namespace: string, ...lines: string[]): Promise<void> {
  for (const line of lines) await run(IP, ['-n', namespace, ...line.split(' ')]);
}

/** Remains of killed runs of this program. */
async function removeLeftovers(): Promise<void> {
  const { stdout } = await run(IP, ['netns', 'list']);
  const pids = [...stdout.matchAll(new RegExp(`^${PREFIX}(\\d+)-`, 'gm'))].map(([, pid]) => Number(pid));
  for (const pid of new Set(pids)) if (!existsSync(`/proc/${pid}`)) await remove(pid);
}

/** Removes the host ends first: a namespace that a process still holds continues without its name. */
async function remove(pid: number): Promise<void> {
  const links = await run(IP, ['-o', 'link', 'show']);
  const own = new RegExp(`^\\d+: (ic${pid}h\\d+|icic${pid})[@:]`, 'gm');
  for (const [, link = ''] of links.stdout.matchAll(own)) await run(IP, ['link', 'del', link]);
  const { stdout } = await run(IP, ['netns', 'list']);
  for (const [namespace] of stdout.matchAll(new RegExp(`^${PREFIX}${pid}-\\S+`, 'gm'))) {
    await run(IP, ['netns', 'del', namespace]);
  }
}
