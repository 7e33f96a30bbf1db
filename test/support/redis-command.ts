import { createConnection } from 'node:net';

/** Sends one command over a new connection; resolves with the raw reply (RESP2). */
export function redisCommand(port: number, ...command: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, '127.0.0.1');
    let reply = '';
    socket.once('error', reject);
    socket.on('data', (data) => {
      reply += data.toString();
    });
    socket.once('end', () => resolve(reply.trimEnd()));
    const parts = command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
    // Redis answers earlier commands before it closes the connection. Sentinels do not know QUIT.
    socket.end(`*${command.length}\r\n${parts.join('')}`);
    socket.setTimeout(5_000, () => socket.destroy(new Error('redis does not answer')));
  });
}
