import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { OutgoingHttpHeaders } from 'node:http';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { XMLParser } from 'fast-xml-parser';
import { pino } from 'pino';
import { loadConfig } from '../../src/config/load.ts';
import { formatPasswordLine } from '../../src/core/password-record.ts';
import { hashPassword } from '../../src/passwords/password.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import type { SapControl } from '../../src/wiring/sapcontrol.ts';
import { composeSapControl } from '../../src/wiring/sapcontrol.ts';
import type { FakeSource } from '../support/sapcontrol.ts';
import { fakeSource } from '../support/sapcontrol.ts';

// Cheaper than in production, so that tests are fast.
const COST = { logN: 14, blockSize: 1, parallelization: 1 };
/** How soon a listener is opened again. */
const AGAIN_MS = 20;
export const PASSWORD = 'pa:ß wort';

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a parsed document
  readonly body: any;
}

const parser = new XMLParser({
  removeNSPrefix: true,
  parseTagValue: false,
  isArray: (name) => name === 'item',
});

interface Way {
  readonly socket?: boolean;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly method?: string;
}

const passwordFileIn = (folder: string): string => join(folder, 'passwords');

/** Replaces the file. */
export async function writePasswordFile(path: string, user: string, password: string): Promise<void> {
  const line = formatPasswordLine(await hashPassword(user, password, { cost: COST }));
  writeFileSync(path, `# operators\n${line}\n`);
}

/** The SAPControl service of a gateway, with the user `müller`, whose password file may change. */
export class ServedSapControl {
  readonly folder: string;
  readonly source: FakeSource;
  readonly log: { readonly level: number; readonly msg: string }[] = [];
  socketPath: string;
  address = '127.0.0.1:0';
  service: SapControl;
  url = '';

  private constructor(folder: string) {
    this.folder = folder;
    this.source = fakeSource();
    this.socketPath = join(folder, '.sapstream50713');
    this.service = this.compose(`, passwordFile: '${this.passwordFile}'`);
  }

  static async start(): Promise<ServedSapControl> {
    const folder = mkdtempSync(join(tmpdir(), 'ici-sapcontrol-'));
    await writePasswordFile(passwordFileIn(folder), 'müller', PASSWORD);
    const served = new ServedSapControl(folder);
    await served.service.listen();
    served.url = served.service.url ?? '';
    return served;
  }

  get passwordFile(): string {
    return passwordFileIn(this.folder);
  }

  /** Another service on the same socket, without a password file by default. */
  compose(more = ''): SapControl {
    const { config } = loadConfig({
      text: `
pools: [{ name: ici, instances: [{ id: a, url: 'http://10.0.0.1:8080' }, { id: b, url: 'https://10.0.0.2' }] }]
sapcontrol: { instanceNumber: '07', address: '${this.address}', socket: '${this.socketPath}'${more} }
`,
      env: {},
    });
    if (config.sapcontrol === undefined) throw new Error('the section is missing');
    const sink = new Writable({
      write: (chunk, _encoding, done) => {
        this.log.push(JSON.parse(String(chunk)));
        done();
      },
    });
    const parts = { ...this.source, logger: pino({ base: null }, sink) };
    const metrics = new Metrics({ processMetrics: false });
    return composeSapControl(config, config.sapcontrol, parts, metrics, AGAIN_MS);
  }

  /** Starts another service, without a password file, after the present one was closed. */
  async startAnother(): Promise<void> {
    this.service = this.compose();
    await this.service.listen();
    this.url = this.service.url ?? this.url;
  }

  async close(): Promise<void> {
    await this.service.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async send(
    content: string | Buffer,
    { socket, path = '/', headers, method = 'POST' }: Way = {},
  ): Promise<Answer> {
    const { hostname, port } = new URL(this.url);
    const where = socket === true ? { socketPath: this.socketPath } : { host: hostname, port };
    return new Promise((resolve, reject) => {
      const sent = request(
        { ...where, path, method, agent: false, headers: headers ?? {}, timeout: 10_000 },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            const isXml = response.headers['content-type']?.startsWith('text/xml') === true;
            const body = isXml ? parser.parse(text).Envelope?.Body : undefined;
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body });
          });
        },
      );
      sent.on('error', reject);
      sent.end(content);
    });
  }
}

/** In the format of gSOAP, which SAP's own tools use. */
export const prefixed = (call: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:ns1="urn:SAPControl">\n  <SOAP-ENV:Body>${call}</SOAP-ENV:Body>\n</SOAP-ENV:Envelope>`;
/** In the format of gowsdl, which sap_host_exporter and sapagent use. */
export const unprefixed = (call: string): string =>
  `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body xmlns="http://schemas.xmlsoap.org/soap/envelope/">${call}</Body></Envelope>`;

export const basic = (user: string, password: string): OutgoingHttpHeaders => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});
export const OPERATOR = basic('müller', PASSWORD);

export const STOP = prefixed(
  '<ns1:Stop><softtimeout>300</softtimeout><IsSystemStop>0</IsSystemStop></ns1:Stop>',
);
export const PROCESS_LIST = prefixed('<ns1:GetProcessList/>');
