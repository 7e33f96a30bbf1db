import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { InnerHandler } from '../../src/proxy/attempt.ts';
import { RelayClient } from '../../src/proxy/relay-client.ts';
import { encodeHead, ORDER_FIELD, OUTCOME_FIELD, orderFromField } from '../../src/proxy/relay-message.ts';
import { NotRelayed, RelayFailed } from '../../src/proxy/relay-outcome.ts';
import { SharedKey } from '../../src/sockets/shared-key.ts';
import { eventually } from '../support/eventually.ts';

/** What a gateway takes from peers that refuse, die, hang or say something else. */

const KEY = new SharedKey('a secret that both gateways have', 'relay');
const ORDER = {
  pool: 'ici',
  target: { instance: 'a', incarnation: '', root: { kind: 'user', value: 'MÜLLER' }, epoch: 3 },
  viewEpoch: 4,
  requestId: 'r-1',
} as const;
const HEAD = { method: 'POST', path: '/ici', headers: ['host', 'ici', 'x-name', 'M\xfcller'] };

let peer: Server | undefined;
let responses: ServerResponse[] = [];
afterEach(async () => {
  peer?.close();
  peer?.closeAllConnections();
  peer = undefined;
  responses = [];
});

type Serve = (response: ServerResponse, body: Promise<Buffer>, request: IncomingMessage) => unknown;

async function startPeer(serve: Serve, key = KEY, host = '127.0.0.1'): Promise<string> {
  peer = createServer(key.server);
  peer.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    responses.push(response);
    serve(response, bodyOf(request), request);
  });
  peer.listen(0, host.replace(/[[\]]/g, ''));
  await once(peer, 'listening');
  return `${host}:${(peer.address() as AddressInfo).port}`;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  // A peer of these tests may end before the body has come.
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch {
    return Buffer.alloc(0);
  }
  return Buffer.concat(chunks);
}

interface Calls {
  connected: number;
  status: number | undefined;
  headers: string[];
  body: string;
  isComplete: boolean;
  error: Error | undefined;
}

/** Sends one request through the peer, and records what the attempt is told. */
function send(address: string, onConnect: InnerHandler['onConnect'] = () => {}): Calls {
  const calls: Calls = {
    connected: 0,
    status: undefined,
    headers: [],
    body: '',
    isComplete: false,
    error: undefined,
  };
  const client = new RelayClient({ key: KEY, judgeMs: 150, silentMs: 300, idleMs: 300 });
  client.dispatch(address, ORDER, HEAD, Buffer.from('<body/>'), {
    onConnect: (abort, context) => {
      calls.connected += 1;
      onConnect(abort, context);
    },
    onHeaders: (status, headers) => {
      calls.status = status;
      calls.headers = headers.map((bytes) => bytes.toString('latin1'));
      return true;
    },
    onData: (chunk) => {
      calls.body += chunk.toString();
      return true;
    },
    onComplete: () => {
      calls.isComplete = true;
    },
    onError: (error) => {
      calls.error = error;
    },
  });
  return calls;
}

const ended = (calls: Calls): Promise<void> =>
  eventually(() => {
    if (!calls.isComplete && calls.error === undefined) throw new Error('still under way');
  });

describe('a request that goes through a peer', () => {
  test.each(['127.0.0.1', '[::1]'])(
    'arrives as it is at %s, with where it is to go, and so does the answer',
    async (host) => {
      let order: unknown;
      let received: Buffer | undefined;
      const address = await startPeer(
        async (response, body, request) => {
          order = orderFromField(request.headers[ORDER_FIELD]);
          response.writeContinue();
          received = await body;
          response.writeProcessing();
          response.writeHead(200, { [OUTCOME_FIELD]: 'answered' });
          response.write(encodeHead({ status: 500, statusText: 'Oops', headers: ['X-Two', 'M\xfcller'] }));
          response.end('<fault/>');
        },
        KEY,
        host,
      );
      const calls = send(address);
      await ended(calls);
      expect(calls).toEqual({
        connected: 1,
        status: 500,
        headers: ['X-Two', 'M\xfcller'],
        body: '<fault/>',
        isComplete: true,
        error: undefined,
      });
      expect(order).toEqual(ORDER);
      expect(received).toEqual(Buffer.concat([encodeHead(HEAD), Buffer.from('<body/>')]));
    },
  );
});

describe('it is certain that nothing was sent', () => {
  const unsent = async (address: string): Promise<Calls> => {
    const calls = send(address);
    await ended(calls);
    expect(calls.connected).toBe(0);
    expect(calls.error).toBeDefined();
    return calls;
  };

  test('if the peer refuses the request', async () => {
    const address = await startPeer((response) =>
      response.writeHead(409, { [OUTCOME_FIELD]: 'unsent' }).end(),
    );
    expect((await unsent(address)).error).toBeInstanceOf(NotRelayed);
  });

  test('if the peer has another key', async () => {
    await unsent(await startPeer((response) => response.writeContinue(), new SharedKey('another', 'relay')));
    expect(responses).toHaveLength(0);
  });

  test('if the peer says nothing', async () => {
    await unsent(await startPeer(() => {}));
  });

  test('if the peer ends before it has accepted the request', async () => {
    await unsent(await startPeer((response) => response.destroy()));
  });

  test('if the peer answers before it has accepted the request', async () => {
    const address = await startPeer((response) =>
      response
        .writeHead(200, { [OUTCOME_FIELD]: 'answered' })
        .end(encodeHead({ ...HEAD, status: 200, statusText: '' })),
    );
    expect((await unsent(address)).status).toBeUndefined();
  });

  test('if it was withdrawn at the last moment: no byte of it reaches the peer', async () => {
    let received: Buffer | undefined;
    const address = await startPeer(async (response, body) => {
      response.writeContinue();
      received = await body;
    });
    const calls = send(address, (abort) => abort(new Error('withdrawn')));
    await eventually(() => expect(received).toEqual(Buffer.alloc(0)));
    expect(calls.error?.message).toBe('withdrawn');
  });

  test('if the peer says so after it has taken the request', async () => {
    const address = await startPeer(async (response, body) => {
      response.writeContinue();
      await body;
      response.writeHead(409, { [OUTCOME_FIELD]: 'unsent' }).end();
    });
    const calls = send(address);
    await ended(calls);
    expect(calls.error).toBeInstanceOf(NotRelayed);
  });
});

describe('what became of the request is unknown', () => {
  const unknown = async (afterBody: (response: ServerResponse) => void): Promise<Calls> => {
    const address = await startPeer(async (response, body) => {
      response.writeContinue();
      await body;
      afterBody(response);
    });
    const calls = send(address);
    await ended(calls);
    expect([calls.connected, calls.isComplete, calls.error instanceof NotRelayed]).toEqual([1, false, false]);
    return calls;
  };

  test('if the peer ends after it has taken the request', async () => {
    await unknown((response) => response.socket?.destroy());
  });

  test('if the peer hangs', async () => {
    expect((await unknown(() => {})).error?.message).toBe('the peer went silent');
  });

  test('if the peer says how the attempt failed', async () => {
    const { error } = await unknown((response) =>
      response.writeHead(502, { [OUTCOME_FIELD]: 'instance-lost' }).end(),
    );
    expect((error as RelayFailed).kind).toBe('instance-lost');
  });

  // The first would be sent again, and the second not be answered.
  test.each(['connect-failure', 'client-aborted'])(
    'if the peer says %s, which no peer says then',
    async (kind) => {
      const { error } = await unknown((response) => response.writeHead(502, { [OUTCOME_FIELD]: kind }).end());
      expect(error).not.toBeInstanceOf(RelayFailed);
    },
  );

  test('if the peer says something else', async () => {
    expect((await unknown((response) => response.writeHead(200).end('ok'))).error).not.toBeInstanceOf(
      RelayFailed,
    );
  });

  test('if the answer breaks off, stalls or has another form', async () => {
    const head = encodeHead({ status: 200, statusText: 'OK', headers: [] });
    const answers =
      (...pieces: Buffer[]) =>
      (response: ServerResponse) => {
        response.writeHead(200, { [OUTCOME_FIELD]: 'answered' });
        for (const piece of pieces) response.write(piece);
        return response;
      };
    await unknown((response) => answers(head, Buffer.from('<ha'))(response).socket?.destroySoon());
    await unknown(answers(head, Buffer.from('<ha')));
    await unknown(answers(Buffer.from('\0\0\0\x02{}')));
    await unknown((response) => answers(head.subarray(0, 9))(response).end());
  });

  test('a peer that says that it still waits is waited for', async () => {
    const address = await startPeer(async (response, body) => {
      response.writeContinue();
      await body;
      // Longer than a peer may say nothing.
      for (let i = 0; i < 6; i += 1) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        response.writeProcessing();
      }
      response.writeHead(200, { [OUTCOME_FIELD]: 'answered' });
      response.end(encodeHead({ status: 204, statusText: 'No Content', headers: [] }));
    });
    const calls = send(address);
    await ended(calls);
    expect([calls.status, calls.isComplete]).toEqual([204, true]);
  });
});
