import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatPasswordLine } from '../../src/core/password-record.ts';
import type { Role } from '../../src/core/role.ts';
import { ROLES } from '../../src/core/role.ts';
import { hashPassword } from '../../src/passwords/password.ts';
import type { TestGateway } from '../support/test-gateway.ts';
import { startTestGateway } from '../support/test-gateway.ts';

export const PASSWORD = 'geheim';
// The cheapest cost that is allowed.
const COST = { logN: 14, blockSize: 1, parallelization: 1 };
export const CONSOLE = { 'x-ici-gateway': 'console' };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: any answer of the admin API
  readonly body: any;
}

interface Sent {
  readonly headers?: OutgoingHttpHeaders;
  /** An object is sent as JSON. */
  readonly body?: unknown;
}

const SHARED_TOKEN = 'token-that-all-share-0123';

/** A gateway with one user of each role (vera, otto, anna), a token of each role, and the shared token. */
export class GuardedGateway {
  readonly folder = mkdtempSync(join(tmpdir(), 'ici-gateway-access-'));
  #gateway: TestGateway | undefined;
  #ca: string | undefined;

  /** @param more further options of the section `admin` */
  static async start(more = ''): Promise<GuardedGateway> {
    const guarded = new GuardedGateway();
    await guarded.writeUsers({ vera: 'viewer', otto: 'operator', anna: 'admin' });
    for (const role of ROLES) guarded.writeToken(role, tokenOf(role));
    guarded.writeToken('shared', SHARED_TOKEN);
    const tokens = ROLES.map((role) => `{ name: ci-${role}, role: ${role}, file: '${guarded.at(role)}' }`);
    await guarded.#listen(
      `passwordFile: '${guarded.at('users')}', tokenFile: '${guarded.at('shared')}', tokens: [${tokens.join()}]${more}`,
    );
    return guarded;
  }

  /** With a certificate of its own. */
  static async startWithTls(): Promise<GuardedGateway> {
    const folder = mkdtempSync(join(tmpdir(), 'ici-gateway-access-tls-'));
    const [key, certificate] = ['key.pem', 'cert.pem'].map((name) => join(folder, name));
    execFileSync(
      'openssl',
      [
        ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=admin'.split(
          ' ',
        ),
        ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', `${key}`, '-out', `${certificate}`],
      ],
      { stdio: 'ignore' },
    );
    const guarded = await GuardedGateway.start(`, tls: { certFile: '${certificate}', keyFile: '${key}' }`);
    guarded.#ca = readFileSync(`${certificate}`, 'utf8');
    rmSync(folder, { recursive: true });
    return guarded;
  }

  /** Without any user or token. */
  static async startBare(): Promise<GuardedGateway> {
    const guarded = new GuardedGateway();
    await guarded.#listen('');
    return guarded;
  }

  async #listen(admin: string): Promise<void> {
    // Its instances need not answer.
    const instances = ['a', 'b'].map((id) => `{ id: ${id}, url: 'http://127.0.0.1:9', admin: disabled }`);
    this.#gateway = await startTestGateway(`pools: [{ name: ici, instances: [${instances.join()}] }]`, {
      env: { ICI_GATEWAY_ADMIN: `{ address: '127.0.0.1:0', ${admin} }` },
    });
  }

  get gateway(): TestGateway {
    if (this.#gateway === undefined) throw new Error('the gateway is not started');
    return this.#gateway;
  }

  /** Such as `127.0.0.1:9090`. */
  get host(): string {
    return new URL(this.gateway.adminUrl).host;
  }

  at(name: string): string {
    return join(this.folder, name);
  }

  async writeUsers(users: Readonly<Record<string, Role>>, password = PASSWORD): Promise<void> {
    const lines = await Promise.all(
      Object.entries(users).map(async ([user, role]) =>
        formatPasswordLine(await hashPassword(user, password, { role, cost: COST })),
      ),
    );
    writeFileSync(this.at('users'), `${lines.join('\n')}\n`);
  }

  writeToken(name: string, token: string): void {
    writeFileSync(this.at(name), `${token}\n`);
  }

  /** Sends exactly these headers; Host is that of the gateway unless another one is given. */
  send(method: string, path: string, { headers = {}, body }: Sent = {}): Promise<Answer> {
    const url = new URL(path, this.gateway.adminUrl);
    const content = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const type =
      content === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) };
    const options = {
      method,
      headers: { ...type, ...headers },
      agent: false,
      ca: this.#ca,
      checkServerIdentity,
    } as const;
    return new Promise((resolve, reject) => {
      const asked = (url.protocol === 'https:' ? tlsRequest : plainRequest)(url, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = response.headers['content-type']?.includes('json') === true;
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            body: isJson ? JSON.parse(text) : undefined,
          });
        });
      });
      asked.on('error', reject).end(content);
    });
  }

  get(path: string, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    return this.send('GET', path, { headers });
  }

  /** Returns the headers that a browser sends after the log-in, without that of the console. */
  async logIn(user: string, password = PASSWORD): Promise<{ readonly cookie: string }> {
    const { status, headers, text } = await this.send('POST', '/session', { body: { user, password } });
    if (status !== 200) throw new Error(`the log-in of ${user} failed: ${text}`);
    const [cookie = ''] = headers['set-cookie'] ?? [];
    return { cookie: cookie.split(';')[0] ?? '' };
  }

  async close(): Promise<void> {
    await this.#gateway?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// Node compares the certificate with the Host header, which these tests choose.
const checkServerIdentity = (): undefined => undefined;
const tokenOf = (role: Role): string => `token-of-a-${role}-0123`;

/** The header with the token of a role, or with the shared one. */
export function bearer(whose: Role | 'shared'): { readonly authorization: string } {
  return { authorization: `Bearer ${whose === 'shared' ? SHARED_TOKEN : tokenOf(whose)}` };
}
