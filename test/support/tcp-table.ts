/** A line of /proc/net/tcp (proc(5)). */
export interface TcpConnection {
  /** In the kernel's notation, as in the table. */
  readonly remoteAddress: string;
  readonly localPort: number;
  readonly remotePort: number;
  /** Two hexadecimal digits. */
  readonly state: string;
  /** Bytes that the other end has not acknowledged. */
  readonly sendQueue: number;
  /** Bytes that the process has not read; for a listening socket, connections that it has not accepted. */
  readonly receiveQueue: number;
  readonly inode: string;
}

export const LISTENING = '0A';

/** @param table the text of /proc/net/tcp */
export function tcpConnections(table: string): TcpConnection[] {
  const hex = (text = ''): number => Number.parseInt(text, 16);
  return table
    .split('\n')
    .slice(1)
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, local = '', remote = '', state = '', queues = '', , , , , inode = ''] = line
        .trim()
        .split(/\s+/);
      const [remoteAddress = '', remotePort] = remote.split(':');
      return {
        remoteAddress,
        localPort: hex(local.split(':')[1]),
        remotePort: hex(remotePort),
        state,
        sendQueue: hex(queues.split(':')[0]),
        receiveQueue: hex(queues.split(':')[1]),
        inode,
      };
    });
}

/** An IPv4 address in the notation of the table. */
export function inTcpTable(address: string): string {
  return Buffer.from(address.split('.').reverse().map(Number)).toString('hex').toUpperCase();
}
