import { readdirSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/** The clients' ends of the connections to a port that are held by a process which was {@link halt}ed. */
export async function clientPortsOf(pid: number, port: number): Promise<Set<number>> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  const ports = new Set<number>();
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = (await readFile('/proc/net/tcp', 'latin1')).split('\n');
  for (const line of lines) {
    // proc(5): sl, local_address, rem_address, st, queues, timer, retransmits, uid, timeout, inode.
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.endsWith(suffix) !== true || !inodes.has(fields[9] ?? '')) continue;
    ports.add(Number.parseInt(fields[2]?.slice(-4) ?? '', 16));
  }
  return ports;
}
