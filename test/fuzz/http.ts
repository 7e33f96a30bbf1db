import type { ErrorCode } from '../../src/core/errors.ts';
import { ERRORS } from '../../src/core/errors.ts';
import type { LogLine } from '../support/test-gateway.ts';
import { WireClient } from '../support/wire.ts';
import type { ClientBytes } from './http-messages.ts';
import type { Site } from './site.ts';
import { settled } from './site.ts';
import type { StrictRequest } from './strict-http.ts';
import { readStrictly, valuesOf } from './strict-http.ts';

/** Fields that a gateway passes on as they are, if Connection does not name them. */
const PASSED_ON = [
  'soapuser',
  'cookie',
  'content-type',
  'content-encoding',
  'soapaction',
  'x-a',
  'x-b',
  '-',
  '_',
  'x_a',
];
const ABSOLUTE = /^https?:\/\/([^/?]*)/i;
// Long enough for a busy machine.
const ANSWERED_MS = 20_000;
/** The logged status of a request whose client left. */
const CLIENT_LEFT = 499;
const IDLE_TURNS = 12;

/**
 * Sends the bytes, and fails unless each message in them was either refused, counted, logged and the last of its
 * connection, or forwarded as one message, the same for two strict parsers and for those who read what the client sent.
 */
export async function checkHttp(site: Site, { text, cuts, end }: ClientBytes): Promise<void> {
  await site.begin();
  const { gateway, recorder } = site;
  const client = await WireClient.open(gateway.port);
  const deadline = setTimeout(() => client.reset(), ANSWERED_MS);
  const borders = [...cuts.map((cut) => Math.floor((cut * text.length) / 1_000)), text.length];
  let from = 0;
  for (const to of borders) {
    if (to <= from) continue;
    client.send(text.slice(from, to));
    from = to;
    // Long enough for the gateway to read them apart.
    if (to < text.length) await turns(3);
  }
  if (end === 'later') await untilIdle(client);
  client.socket.end();
  await client.closed;
  clearTimeout(deadline);
  const answers = statusesIn(client.text);
  const lines = () => gateway.requests().filter(({ status }) => status !== CLIENT_LEFT);
  await settled(() => {
    const logged = lines().map(({ status }) => Number(status));
    if (
      logged.toSorted().join() !==
      answers
        .map(({ status }) => status)
        .toSorted()
        .join()
    )
      return `answered ${answers.map(({ status }) => status).join()}, logged ${logged.join()}`;
    return recorder.isQuiet ? undefined : 'a forwarded request does not end';
  });
  const counted = await site.counted();
  const all = gateway.requests();
  if (counted.requests !== all.length)
    throw new Error(`${all.length} requests logged, ${counted.requests} counted`);
  site.expectUnharmed();
  const [fault] = recorder.faults;
  if (fault !== undefined) throw new Error(fault);
  expectForwarded(text, recorder.requests);
  expectEnding(text, answers, all);
  // A reset could take the answer with it (RFC 9112 §9.6). A client that has asked for the end must not send on.
  const { errored } = client.socket;
  if (errored !== null && all.some(isRefused))
    throw new Error(`a refusal ends in a reset: ${errored.message}`);
}

interface Answer {
  readonly status: number;
  /** It is the last of its connection. */
  readonly closes: boolean;
}

/** The final answers in what the gateway sent. */
function statusesIn(text: string): Answer[] {
  const answers: Answer[] = [];
  for (let at = 0; at < text.length; ) {
    const headEnd = text.indexOf('\r\n\r\n', at) + 4;
    const head = text.slice(at, headEnd);
    const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(head) ?? [];
    if (headEnd < 4 || status === undefined)
      throw new Error(`not an answer: ${JSON.stringify(text.slice(at))}`);
    at = headEnd;
    if (status.startsWith('1')) continue;
    answers.push({ status: Number(status), closes: /^connection: close\r$/im.test(head) });
    // An answer to HEAD has a length and no body.
    if (text.startsWith('HTTP/1.1 ', at)) continue;
    at += Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0);
  }
  return answers;
}

/** Everything that was forwarded must be a request that the client sent, in the same order. */
function expectForwarded(text: string, forwarded: readonly StrictRequest[]): void {
  const { requests, end } = readStrictly(text);
  const sent = requests.map((request) => essence(request, hostOf(request)));
  for (const request of forwarded.map((one) => essence(one, valuesOf(one.fields, 'x-forwarded-host')[0]))) {
    const at = sent.indexOf(request);
    if (at < 0)
      throw new Error(
        `forwarded ${request}, but the client sent ${sent.join(' ')}, then ${JSON.stringify(end)}`,
      );
    sent.splice(0, at + 1);
  }
}

/** What two who read a request must agree on. */
function essence({ method, target, fields, body }: StrictRequest, host: string | undefined): string {
  const listed = valuesOf(fields, 'connection').flatMap((value) =>
    value.toLowerCase().split(/[ \t]*,[ \t]*/),
  );
  const passed = PASSED_ON.map((name) => [name, listed.includes(name) ? [] : valuesOf(fields, name)]);
  const path = target.replace(ABSOLUTE, '');
  return JSON.stringify([method, path.startsWith('/') ? path : `/${path}`, host, passed, body]);
}

/** The host that the client means: that of the target comes before the field (RFC 9112 §3.2.2). */
function hostOf({ target, fields }: StrictRequest): string | undefined {
  return ABSOLUTE.exec(target)?.[1] ?? valuesOf(fields, 'host')[0];
}

/** Was it the client's fault? Other refusals, as for want of an instance, leave the connection open. */
function isRefused({ error, status }: LogLine): boolean {
  return status !== CLIENT_LEFT && error !== undefined && ERRORS[error as ErrorCode].source === 'client';
}

function expectEnding(text: string, answers: readonly Answer[], lines: readonly LogLine[]): void {
  const refused = lines.filter(isRefused);
  const last = answers.at(-1);
  const isEnded =
    refused.length === 0 ||
    (refused.length === 1 && refused[0]?.['status'] === last?.status && last?.closes === true);
  if (!isEnded) throw new Error(`a refusal that does not end the connection: ${JSON.stringify(lines)}`);
  const { requests, end } = readStrictly(text);
  if (last?.closes !== true && lines.length < requests.length)
    throw new Error(`${requests.length} requests on an open connection, ${lines.length} answered`);
  if (lines.length === 0 && (requests.length > 0 || end !== 'complete'))
    throw new Error('neither answered nor logged');
  // What cannot be read must be refused, unless an earlier answer has ended the connection.
  if (typeof end === 'object' && last?.closes !== true && !lines.some(({ status }) => status === CLIENT_LEFT))
    throw new Error(`${end.fault} is not refused: ${JSON.stringify(lines)}`);
}

/** Waits until the gateway does nothing more by itself. */
async function untilIdle(client: WireClient): Promise<void> {
  for (let length = -1; length !== client.bytes.length; ) {
    length = client.bytes.length;
    await turns(IDLE_TURNS);
  }
  if (statusesIn(client.text).at(-1)?.closes === true)
    await settled(() => (client.isOver ? undefined : 'the last answer does not end the connection'));
}

/** Turns of the event loop, which the gateway shares with the trial. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise(setImmediate);
}
