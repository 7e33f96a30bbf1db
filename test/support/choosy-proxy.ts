import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/** A relay in front of a server that closes only connections that carry certain words. */
export interface ChoosyProxy {
  readonly port: number;
  /** Closes each connection that carries one of the words from now on, and at once those that carried one before. */
  refuse(words: readonly string[]): void;
  /** Closes the connections that carried one of the words. New connections may carry them. */
  drop(words: readonly string[]): void;
  /** The number of closed connections, by word. */
  readonly ended: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

export async function startChoosyProxy(target: number, words: readonly string[]): Promise<ChoosyProxy> {
  const said = new Map<Socket, Set<string>>();
  const ended = new Map<string, number>();
  let refused: readonly string[] = [];
  const end = (client: Socket, word: string): void => {
    ended.set(word, (ended.get(word) ?? 0) + 1);
    client.resetAndDestroy();
  };
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    const heard = new Set<string>();
    said.set(client, heard);
    client.on('data', (data) => {
      const text = data.toString('latin1').toLowerCase();
      for (const word of words) if (text.includes(word)) heard.add(word);
      const word = refused.find((one) => heard.has(one));
      if (word === undefined) upstream.write(data);
      else end(client, word);
    });
    upstream.on('data', (data) => client.write(data));
    upstream.on('end', () => client.end());
    client.on('error', () => undefined);
    upstream.on('error', () => client.destroy());
    client.on('close', () => {
      said.delete(client);
      upstream.destroy();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const drop = (those: readonly string[]): void => {
    for (const [client, heard] of said) {
      const word = those.find((one) => heard.has(one));
      if (word !== undefined) end(client, word);
    }
  };
  return {
    port: (server.address() as AddressInfo).port,
    refuse: (those) => {
      refused = those;
      drop(those);
    },
    drop,
    ended,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const client of said.keys()) client.destroy();
      await closed;
    },
  };
}
