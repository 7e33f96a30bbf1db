import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { RequestOptions } from 'node:http';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { PING_PATH } from '../../src/core/state-page.ts';
import type { Question } from './states-table.ts';
import { QUESTIONS } from './states-table.ts';

const PAGE_PATH = '/sap/wdisp/admin/publicicp/show_init_statepub.icp';
const EVERY_MS = 30;
// The processes of a gateway get its state one after the other, so they may show different states for a moment.
const AGREED_WITHIN_MS = 500;

/** The addresses of a gateway. */
export interface Ports {
  readonly host: string;
  readonly data: number;
  readonly admin: number;
  readonly sapcontrol: number;
}

/**
 * Ports that are known before the gateway binds them. They use an address of this
 * machine that no other program uses, so they stay free meanwhile.
 */
export async function portsOfItsOwn(): Promise<Ports> {
  const host = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
  const servers = await Promise.all(
    ['data', 'admin', 'sapcontrol'].map(async () => {
      const server = createServer().listen(0, host);
      await once(server, 'listening');
      return server;
    }),
  );
  const [data = 0, admin = 0, sapcontrol = 0] = servers.map(
    (server) => (server.address() as AddressInfo).port,
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return { host, data, admin, sapcontrol };
}

/** A change in the answers to one question. */
export interface Change {
  readonly answer: string;
  /** The time of the first such answer, in milliseconds since the Unix epoch. */
  readonly askedAt: number;
  readonly answeredAt: number;
}

/** The answers that balancer and monitors get from a gateway; each question is repeated over new connections. */
export interface LifeRecord {
  /** Oldest first. */
  changes(question: Question): readonly Change[];
  /** The last answer, by question. */
  now(): Record<Question, string>;
  stop(): Promise<void>;
}

export function recordLife(ports: Ports): LifeRecord {
  const changes = new Map<Question, Change[]>(QUESTIONS.map((question) => [question, []]));
  let isOver = false;
  const polls = QUESTIONS.map(async (question) => {
    const seen = changes.get(question) as Change[];
    while (!isOver) {
      const askedAt = Date.now();
      const answer = await ask(question, ports);
      const last = seen.at(-1);
      const isOfALaterOne =
        answer === seen.at(-2)?.answer && askedAt < (last?.askedAt ?? 0) + AGREED_WITHIN_MS;
      if (answer !== last?.answer && !isOfALaterOne) {
        seen.push({ answer, askedAt, answeredAt: Date.now() });
      }
      await setTimeout(EVERY_MS);
    }
  });
  return {
    changes: (question) => changes.get(question) ?? [],
    now: () =>
      Object.fromEntries(
        QUESTIONS.map((question) => [question, changes.get(question)?.at(-1)?.answer ?? '']),
      ) as Record<Question, string>,
    stop: async () => {
      isOver = true;
      await Promise.all(polls);
    },
  };
}

/** The answer in the format of {@link StateRow.answers}. */
async function ask(question: Question, { host, data, admin, sapcontrol }: Ports): Promise<string> {
  switch (question) {
    case 'page':
    case 'admin page': {
      const answer = await send({ host, port: question === 'page' ? data : admin, path: PAGE_PATH });
      return answer === undefined ? 'refused' : `${answer.status} ${answer.text.trim()}`;
    }
    case 'sapcontrol':
      return colourOf(await callSapControl('GetProcessList', { host, port: sapcontrol }));
    default: {
      const path = question === 'readyz' ? '/readyz' : PING_PATH;
      const answer = await send({ host, port: question === 'ping' ? data : admin, path });
      return answer === undefined ? 'refused' : String(answer.status);
    }
  }
}

/** Calls a method without arguments, by TCP or over the Unix socket. Undefined if there is no answer. */
export async function callSapControl(
  method: string,
  at: { readonly host: string; readonly port: number } | { readonly socketPath: string },
): Promise<string | undefined> {
  const message = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><m:${method} xmlns:m="urn:SAPControl"/></e:Body></e:Envelope>`;
  return (await send({ ...at, path: '/', method: 'POST' }, message))?.text;
}

/** The state in an answer to `GetProcessList`, such as `GREEN Running`. */
export function colourOf(processList: string | undefined): string {
  if (processList === undefined) return 'refused';
  const [, colour] = /<dispstatus>SAPControl-(\w+)</.exec(processList) ?? [];
  const [, text] = /<textstatus>([^<]*)</.exec(processList) ?? [];
  return `${colour} ${text}`;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** The answer over a new connection. Undefined if the connection was refused or no answer came. */
function send(options: RequestOptions, content = ''): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const sent = request({ agent: false, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
      response.on('error', () => resolve(undefined));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', () => resolve(undefined));
    sent.end(content);
  });
}
