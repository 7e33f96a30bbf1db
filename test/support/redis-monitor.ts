import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

/** One command, as shown by Redis's `MONITOR`. */
export interface MonitoredCommand {
  /** The client's address, or `lua` if a script ran it. */
  readonly source: string;
  readonly name: string;
  /** Its first argument, if it is plain text. */
  readonly first: string | undefined;
}

const LINE = /^\+[\d.]+ \[\d+ ([^\]]+)\] "([^"]*)"(?: "([^"]*)")?/;

/**
 * Calls back for each command that a server runs from now on, in order. Without ioredis,
 * because ioredis mistakes data that arrives together with the answer to `MONITOR` for
 * answers to its own commands, and throws.
 */
export async function monitorRedis(
  port: number,
  onCommand: (command: MonitoredCommand) => void,
): Promise<{ close(): void }> {
  const socket = connect(port, '127.0.0.1');
  const lines = createInterface({ input: socket });
  await once(socket, 'connect');
  socket.write('MONITOR\r\n');
  await once(lines, 'line');
  lines.on('line', (line) => {
    const [, source = '', name = '', first] = LINE.exec(line) ?? [];
    onCommand({ source, name: name.toLowerCase(), first });
  });
  return { close: () => socket.destroy() };
}
