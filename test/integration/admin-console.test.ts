import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

const LARGEST_ON_THE_WIRE = 150_000;
const CONFIG = `
statePage: { prefixes: [/sap/wdisp/admin, /status] }
pools:
  - name: ici
    health: { path: /health }
    instances: [{ id: a, url: 'http://127.0.0.1:1' }]
`;

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway(CONFIG);
});
afterAll(() => gateway.close());

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** Bytes of the body, as they were sent. */
  readonly size: number;
}

/** Without `fetch`, which decompresses by itself. */
function get(path: string, acceptEncoding?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = acceptEncoding === undefined ? {} : { 'accept-encoding': acceptEncoding };
    const sent = request(new URL(path, gateway.adminUrl), { headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, ...textOf(chunks) }),
      );
    });
    sent.on('error', reject).end();
  });
}

function textOf(chunks: readonly Buffer[]): Pick<Answer, 'body' | 'size'> {
  const all = Buffer.concat(chunks);
  return { body: all.toString(), size: all.length };
}

async function filesOfThePage(): Promise<string[]> {
  const { body } = await get('/');
  return [...body.matchAll(/(?:src|href)="(\/console\/[^"]+)"/g)].map(([, path]) => path ?? '');
}

describe('the console', () => {
  test('is a page whose files have their content in their names, and are kept for good', async () => {
    const page = await get('/');
    expect(page.status).toBe(200);
    expect(page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
    });
    const files = await filesOfThePage();
    expect(files.map((path) => path.split('.').at(-1)).sort()).toEqual(['css', 'js']);
    for (const path of files) {
      const { status, headers } = await get(path);
      expect([path, status, headers['cache-control']]).toEqual([
        expect.stringMatching(/-[A-Z0-9]{8}\.(css|js)$/),
        200,
        'public, max-age=31536000, immutable',
      ]);
    }
  });

  test('holds no script and no style in the page itself, so that the content policy can forbid them', async () => {
    const page = (await get('/')).body;
    expect(page).not.toMatch(/<script(?![^>]* src=)|<style|style=|\son\w+=/);
  });

  test('fits into 150 KB on the wire', async () => {
    let size = 0;
    for (const path of ['/', ...(await filesOfThePage())]) {
      const { headers, size: bytes } = await get(path, 'gzip');
      expect(headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' });
      size += bytes;
    }
    expect(size).toBeLessThanOrEqual(LARGEST_ON_THE_WIRE);
  });

  test.each([
    ['gzip, deflate, br', 'br'],
    ['gzip;q=1.0, br;q=0', 'gzip'],
    ['deflate', undefined],
    ['', undefined],
  ])('for accept-encoding %j it is sent as %s', async (accepted, encoding) => {
    const { status, headers } = await get('/', accepted);
    expect([status, headers['content-encoding']]).toEqual([200, encoding]);
  });

  test('is found where administrators of Web Dispatcher look, and changes no state page', async () => {
    for (const path of ['/sap/wdisp/admin', '/sap/wdisp/admin/', '/status/']) {
      const { status, headers } = await get(path);
      expect([path, status, headers['location']]).toEqual([path, 302, '/']);
    }
    expect(await get('/sap/wdisp/admin/publicicp/show_init_statepub.icp')).toMatchObject({
      status: 200,
      body: 'Running',
    });
    // The prefix is the path of another answer, which stays.
    expect((await get('/status')).headers['content-type']).toMatch(/^application\/json/);
  });

  test('answers no file that the build did not make', async () => {
    for (const path of ['/console/', '/console/main.tsx', '/console/..%2fmain.js', '/console/index.html.gz'])
      expect([path, (await get(path)).status]).toEqual([path, 404]);
  });
});
