import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';

/** Answers like a Sentinel, when the test allows it. */
export interface FakeSentinel {
  readonly port: number;
  /** The number of clients that wait for the master's address. */
  readonly asking: number;
  /** The number of subscribers. */
  readonly subscribers: number;
  /** Delays the answers to queries for the master from now on. */
  hold(): void;
  /** Answers waiting and future queries. */
  answer(): void;
  /** Sends its subscribers the news of a failover. */
  tellOfSwitch(): void;
  stop(): Promise<void>;
}

export async function startFakeSentinel(master: { readonly port: number }): Promise<FakeSentinel> {
  const sockets = new Set<Socket>();
  const subscribers = new Set<Socket>();
  let asking: Socket[] = [];
  let holds = false;
  const tellMaster = (socket: Socket): void => {
    socket.write(array('127.0.0.1', String(master.port)));
  };
  const obey = (socket: Socket, [name, ...args]: readonly string[]): void => {
    const command = `${name} ${args[0]}`.toLowerCase();
    if (command.startsWith('subscribe ')) {
      subscribers.add(socket);
      socket.write(`*3\r\n${bulk('subscribe')}${bulk(String(args[0]))}:1\r\n`);
    } else if (command === 'sentinel get-master-addr-by-name') {
      if (holds) asking.push(socket);
      else tellMaster(socket);
    } else if (command === 'sentinel sentinels') socket.write('*0\r\n');
    else socket.write(`-ERR unknown command '${name}'\r\n`);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    let unread = '';
    socket.on('data', (data) => {
      unread += data.toString();
      for (let read = readCommand(unread); read !== undefined; read = readCommand(unread)) {
        unread = unread.slice(read.length);
        obey(socket, read.command);
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      subscribers.delete(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get asking() {
      return asking.length;
    },
    get subscribers() {
      return subscribers.size;
    },
    hold: () => {
      holds = true;
    },
    answer: () => {
      holds = false;
      for (const socket of asking.splice(0)) tellMaster(socket);
    },
    tellOfSwitch: () => {
      for (const socket of subscribers) socket.write(array('message', '+switch-master', 'gw …'));
    },
    stop: async () => {
      asking = [];
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

function array(...texts: readonly string[]): string {
  return `*${texts.length}\r\n${texts.map(bulk).join('')}`;
}

/** The first command of a text, an array of bulk strings (RESP), if it is complete. All are ASCII. */
function readCommand(text: string): { readonly command: string[]; readonly length: number } | undefined {
  const lines = text.split('\r\n');
  const count = Number(lines[0]?.slice(1));
  // Each string takes two lines; a line end follows the last one.
  if (!text.startsWith('*') || lines.length < 2 * count + 2) return undefined;
  const own = lines.slice(0, 2 * count + 1);
  return { command: own.filter((_, i) => i > 0 && i % 2 === 0), length: own.join('\r\n').length + 2 };
}
