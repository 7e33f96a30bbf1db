import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { mainThreadWaitedMs } from '../support/processor-wait.ts';
import { startTestGateway } from '../support/test-gateway.ts';
import { OK, poolOf, WireClient, WireUpstream } from '../support/wire.ts';

/**
 * Large and hostile bodies: the gateway, in its own process, neither buffers them
 * nor blocks on them.
 */

const MB = 1_024 * 1_024;
// 50 ms plus the measuring resolution of 10 ms.
const LONGEST_STANDSTILL_MS = 60;
const MOST_TRIES = 15;
let upstream: WireUpstream;
let digesting: WireUpstream;
let gateway: GatewayProcess;
let port = 0;

/** Answers each upload with the digest of its body, without storing it. */
function digestBody(socket: Socket): boolean {
  const hash = createHash('sha256');
  let left: number | undefined;
  socket.on('data', (data: Buffer) => {
    let body = data;
    if (left === undefined) {
      const end = data.indexOf('\r\n\r\n') + 4;
      left = Number(/content-length: (\d+)/i.exec(data.toString('latin1', 0, end))?.[1] ?? 0);
      body = data.subarray(end);
    }
    hash.update(body);
    left -= body.length;
    if (left === 0) socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n${hash.digest('hex')}`);
  });
  return true;
}

beforeAll(async () => {
  upstream = await WireUpstream.start();
  digesting = await WireUpstream.start({ onConnection: digestBody });
  const pool = { mode: 'sticky', health: { path: '/health' } };
  gateway = await startGatewayProcess({
    pools: [
      { ...pool, name: 'ici', instances: [{ id: 'i1', url: upstream.url }] },
      {
        ...pool,
        name: 'digest',
        match: { paths: ['/digest'] },
        connections: 'per-request',
        instances: [{ id: 'i2', url: digesting.url }],
      },
    ],
    logging: { requests: false },
  });
  port = Number(new URL(gateway.url).port);
});
afterAll(async () => {
  await gateway.close();
  await upstream.close();
  await digesting.close();
});
beforeEach(() => {
  upstream.answer = OK;
  upstream.requests.length = 0;
});

function residentBytes(): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'));
  return Number(line?.[1]) * 1_024;
}

/** Runs it and returns the peak growth of the gateway's memory. */
async function growthDuring(run: () => Promise<unknown>): Promise<number> {
  const before = residentBytes();
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, residentBytes());
  }, 5);
  await run().finally(() => clearInterval(timer));
  return Math.max(most, residentBytes()) - before;
}

/** The longest event loop delay of the gateway since the last call. */
async function longestStandstillMs(): Promise<number> {
  const text = await gateway.metrics();
  return 1_000 * Number(/^nodejs_eventloop_lag_max_seconds\S* (\S+)$/m.exec(text)?.[1]);
}

/** How often the whole heap of the gateway was collected. */
async function fullCollections(): Promise<number> {
  const text = await gateway.metrics();
  return Number(/^nodejs_gc_duration_seconds_count\{\S*kind="major"\S* (\S+)$/m.exec(text)?.[1] ?? 0);
}

async function post(body: Buffer, type: string, fields = ''): Promise<number> {
  const client = await WireClient.open(port);
  client.send(
    `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n${fields}\r\n`,
  );
  client.send(body);
  const response = await client.response();
  client.leave();
  return response.status;
}

describe('90 MB stream through a process that grows by less than half of that', () => {
  // Nearly the body limit, so that buffering it would show, whatever the garbage collector does.
  const SIZE = 90;
  // Each costs as much as tens of megabytes that pass. There used to be five for an upload and three for a download.
  const MOST_COLLECTIONS = 3;

  /** Sends zeros by the megabyte, and resolves with the answer's body. */
  async function upload(megabytes: number): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    const answered = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
    socket.write(
      `POST /digest HTTP/1.1\r\nHost: a\r\nsoapuser: MILLER\r\nContent-Length: ${megabytes * MB}\r\n\r\n`,
    );
    for (let i = 0; i < megabytes; i += 1) {
      if (!socket.write(Buffer.alloc(MB, i))) await new Promise((resolve) => socket.once('drain', resolve));
    }
    const [, body = ''] = (await answered).split('\r\n\r\n');
    socket.destroy();
    return body;
  }

  function digestOf(megabytes: number): string {
    const hash = createHash('sha256');
    for (let i = 0; i < megabytes; i += 1) hash.update(Buffer.alloc(MB, i));
    return hash.digest('hex');
  }

  test('from the client to the instance', async () => {
    // Once before, so that the measurement does not include the warm-up of the process.
    expect(await upload(SIZE)).toBe(digestOf(SIZE));
    const collected = await fullCollections();
    const growth = await growthDuring(async () => {
      expect(await upload(SIZE)).toBe(digestOf(SIZE));
    });
    expect(growth).toBeLessThan((SIZE / 2) * MB);
    expect((await fullCollections()) - collected).toBeLessThan(MOST_COLLECTIONS);
  });

  async function download(megabytes: number): Promise<string> {
    upstream.answer = (_request, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${megabytes * MB}\r\n\r\n`);
      let i = 0;
      const pump = (): void => {
        while (i < megabytes && socket.write(Buffer.alloc(MB, i))) i += 1;
        i += 1;
        if (i < megabytes) socket.once('drain', pump);
      };
      pump();
    };
    const hash = createHash('sha256');
    const socket = connect(port, '127.0.0.1');
    socket.write(
      'POST / HTTP/1.1\r\nHost: a\r\nsoapuser: MILLER\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
    );
    let inBody = false;
    for await (const data of socket as AsyncIterable<Buffer>) {
      hash.update(inBody ? data : data.subarray(data.indexOf('\r\n\r\n') + 4));
      inBody = true;
      // Slower than the instance: unread data must wait there, not in the gateway.
      await new Promise(setImmediate);
    }
    return hash.digest('hex');
  }

  test('from the instance to a client that reads slowly', async () => {
    expect(await download(SIZE)).toBe(digestOf(SIZE));
    const collected = await fullCollections();
    const growth = await growthDuring(async () => {
      expect(await download(SIZE)).toBe(digestOf(SIZE));
    });
    expect(growth).toBeLessThan((SIZE / 2) * MB);
    expect((await fullCollections()) - collected).toBeLessThan(MOST_COLLECTIONS);
  });
});

const DEEP = Buffer.from(`${'<a>'.repeat(100_000)}${'</a>'.repeat(100_000)}`);
const BOMB = `<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "${'a'.repeat(1_000)}">${Array.from(
  { length: 20 },
  (_, i) => `<!ENTITY a${i} "&a${i === 0 ? '' : i - 1};&a${i === 0 ? '' : i - 1};">`,
).join('')}]><b>&a19;</b>`;

/** Members of a gzip follow each other (RFC 1952), so that one of them is compressed once. */
function gigabyteOfZeros(): Buffer {
  const member = gzipSync(Buffer.alloc(16 * MB), { level: 1 });
  return Buffer.concat(Array.from({ length: 64 }, () => member));
}

const HOSTILE: readonly (readonly [what: string, body: () => Buffer, type: string, fields: string])[] = [
  ['a DOCTYPE that expands to gigabytes', () => Buffer.from(BOMB), 'text/xml', ''],
  ['100,000 nested elements', () => DEEP, 'text/xml', ''],
  ['50 MB without a name', () => Buffer.alloc(50 * MB, '<a></a>'), 'text/xml', ''],
  ['a single tag of 1 MB', () => Buffer.from(`<${'a'.repeat(MB)}`), 'text/xml', ''],
  ['a tag with 50,000 attributes', () => Buffer.from(`<a ${'b="c" '.repeat(50_000)}/>`), 'text/xml', ''],
  [
    '60,000 namespace declarations',
    () => Buffer.from(`<a ${'xmlns:b="c" '.repeat(60_000)}/>`),
    'text/xml',
    '',
  ],
  ['a comment without end', () => Buffer.from(`<!--${'-'.repeat(MB)}`), 'text/xml', ''],
  ['CDATA without end', () => Buffer.from(`<a><![CDATA[${']'.repeat(MB)}`), 'text/xml', ''],
  ['ampersands without end', () => Buffer.from(`<a>${'&'.repeat(MB)}</a>`), 'text/xml', ''],
  ['invalid UTF-16', () => Buffer.from('\xff\xfe<a>odd'.repeat(10_001), 'latin1'), 'text/xml', ''],
  [
    'an unknown encoding',
    () => Buffer.from('<?xml version="1.0" encoding="EBCDIC-XX"?><a/>'),
    'text/xml; charset=x-none',
    '',
  ],
  ['invalid UTF-8', () => Buffer.from('<a>\xff\xc0\x80</a>', 'latin1'), 'text/xml; charset=utf-8', ''],
  ['no XML at all', () => Buffer.from('not xml'), 'text/xml', ''],
  ['a gzip of 1 GB of zeros', gigabyteOfZeros, 'text/xml', 'Content-Encoding: gzip\r\n'],
  ['invalid gzip', () => Buffer.from('not gzip'), 'text/xml', 'Content-Encoding: gzip\r\n'],
  [
    'a gzip of gzips',
    () => gzipSync(gzipSync(Buffer.alloc(MB))),
    'text/xml',
    'Content-Encoding: gzip, gzip\r\n',
  ],
  [
    'a multipart of boundaries',
    () => Buffer.from('--b\r\n'.repeat(100_000)),
    'multipart/related; boundary=b; type="text/xml"',
    '',
  ],
];

describe('a hostile message', () => {
  test.each(HOSTILE)(
    'of %s is forwarded without a name, and blocks the gateway for less than 50 ms',
    async (_what, make, type, fields) => {
      const body = make();
      let standstill = Number.POSITIVE_INFINITY;
      let growth = Number.POSITIVE_INFINITY;
      // A busy machine delays processes too, which does not count. The body costs the same every time, so one short
      // run is enough.
      for (let tries = 1; tries <= MOST_TRIES && standstill >= LONGEST_STANDSTILL_MS; tries += 1) {
        await longestStandstillMs();
        const waited = mainThreadWaitedMs(gateway.pid);
        const grown = await growthDuring(async () => {
          expect(await post(body, type, fields)).toBe(200);
        });
        growth = Math.min(growth, grown);
        const blocked = (await longestStandstillMs()) - (mainThreadWaitedMs(gateway.pid) - waited);
        standstill = Math.min(standstill, blocked);
        expect(upstream.requests).toHaveLength(tries);
        expect(upstream.requests.at(-1)?.body.equals(body)).toBe(true);
      }
      expect(standstill).toBeLessThan(LONGEST_STANDSTILL_MS);
      expect(growth).toBeLessThan(40 * MB);
    },
  );

  test.each(
    HOSTILE.filter(([, , , fields]) => fields === '')
      .slice(0, 2)
      .concat(HOSTILE.slice(-4, -2)),
  )('of %s is refused with a Fault where the configuration says so', async (_what, make, type, fields) => {
    const strict = await startTestGateway(`${poolOf([upstream.url])}identity: { onUnreadable: refuse }\n`);
    const client = await WireClient.open(strict.port);
    const body = make();
    client.send(
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n${fields}\r\n`,
    );
    client.send(body);
    const response = await client.response();
    client.leave();
    await strict.close();
    expect(response.status).toBe(400);
    expect(response.body.toString()).toContain('GW_ENVELOPE_MALFORMED');
    expect(upstream.requests).toHaveLength(0);
  });
});
