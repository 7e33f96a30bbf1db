import { readdirSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tcpConnections } from '../support/tcp-table.ts';

/** The client ports of the connections to a port that a {@link halt}ed process holds; none if it has ended. */
export async function clientPortsOf(pid: number, port: number): Promise<Set<number>> {
  const inodes = new Set<string>();
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const connections = tcpConnections(await readFile('/proc/net/tcp', 'latin1'));
  const held = connections.filter(({ localPort, inode }) => localPort === port && inodes.has(inode));
  return new Set(held.map(({ remotePort }) => remotePort));
}
