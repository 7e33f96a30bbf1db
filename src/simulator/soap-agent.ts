import { createHash } from 'node:crypto';
import { mediaTypeOf } from '../soap/writer.ts';
import type { AgentRecord } from './agent-stats.ts';
import type { Dialect } from './dialects.ts';
import type { Pauses } from './pauses.ts';
import type { Random } from './random.ts';
import type { HttpAnswer, SoapClient } from './soap-client.ts';
import { NoAnswer } from './soap-client.ts';
import type { AnsweredBy } from './split-detector.ts';
import type { Parameters } from './wire.ts';
import {
  CONNECTOR_HEADER,
  CUSTOM_WORKMODES,
  callerOf,
  DELIVERY_HEADER,
  EVERYONE,
  FIRST_CUSTOM_WORKMODE,
  INCARNATION_HEADER,
  LOGGED_OFF,
  NOT_READY,
  PASSWORD,
  READY,
  readElement,
  readMessage,
  SESSION_COOKIE,
  UNKNOWN_SESSION,
  USER_HEADER,
  writeMessage,
} from './wire.ts';

/** The behaviour of an agent, which is the same for all agents of a run. */
export interface AgentHabits {
  readonly urls: readonly URL[];
  /** Work steps per second, on average; one in five consists of two simultaneous requests. */
  readonly ratePerAgent: number;
  /** With SAP Note 1640673: user and session in the HTTP header. Without: the user in the body only. */
  readonly withHeaders: boolean;
  readonly dialect: Dialect;
  /** Also requests whose body names no agent, or another one: those to a call, transfers, the search for all agents. */
  readonly objectMethods: boolean;
  /** Another agent of the run. */
  readonly colleague: (random: Random) => string;
  /** Writes the user name in random letter case, as different parts of SAP may. */
  readonly mixedCase: boolean;
  /** The size of the attached data. */
  readonly bodyBytes: { readonly min: number; readonly max: number };
  /** Work steps after which the agent logs off and on again; unlimited by default. */
  readonly workPerLogon: number;
  /** The longest pause after a failed work step. */
  readonly retryMs: number;
}

type Outcome = 'ok' | 'relogon' | 'failed';

/** The pause after a failed logon: long enough to avoid a storm, short enough to notice the end of a failover. */
const RETRY_LOGON_MS = 250;
const PARALLEL_SHARE = 0.2;

/** One working agent: it logs on, works, logs on again when a connector requires it, and logs off. */
export class SoapAgent {
  readonly user: string;
  readonly #habits: AgentHabits;
  readonly #client: SoapClient;
  readonly #record: AgentRecord;
  readonly #pauses: Pauses;
  readonly #random: Random;
  readonly #run: string;
  #sessionId = '';
  #callId = '';
  #logons = 0;
  #requests = 0;
  #loggedOn = false;

  /** @param run makes the delivery ids of this run unique */
  constructor(
    user: string,
    run: string,
    habits: AgentHabits,
    random: Random,
    shared: { client: SoapClient; record: AgentRecord; pauses: Pauses },
  ) {
    this.user = user;
    this.#run = run;
    this.#habits = habits;
    this.#random = random;
    this.#client = shared.client;
    this.#record = shared.record;
    this.#pauses = shared.pauses;
  }

  /** Logs on and works until `stopping` is true. Ends soon after the pauses have ended. */
  async work(stopping: () => boolean): Promise<void> {
    let again = false;
    let hasFailed = false;
    let work = 0;
    while (!stopping()) {
      if (!this.#loggedOn) {
        const outcome = await this.#logOn(again);
        if (outcome !== 'ok') await this.#pauses.pause(RETRY_LOGON_MS * (1 + this.#random()));
        work = 0;
        continue;
      }
      const next = this.#untilNextWork();
      await this.#pauses.pause(hasFailed ? Math.min(next, this.#habits.retryMs) : next);
      if (stopping()) break;
      const outcome = await this.#workOnce();
      again = outcome === 'relogon';
      hasFailed = outcome === 'failed';
      if (again) continue;
      work += 1;
      if (work >= this.#habits.workPerLogon) await this.logOff();
    }
  }

  /** Logs on. Like SAP, it begins with several simultaneous requests. */
  async #logOn(again: boolean): Promise<Outcome> {
    this.#logons += 1;
    this.#sessionId = this.#newSessionId();
    this.#callId = '';
    this.#record.splits.loggingOn(this.user);
    const first = await Promise.all([
      this.#send('exchangeProductInformation', [['product', 'SAP CRM (simulated)']]),
      this.#send('getAttributes', this.#named()),
      this.#send('subscribe', this.#subscription('ui')),
      this.#send('subscribe', this.#subscription('container')),
    ]);
    if (first.some((outcome) => outcome === 'failed')) return 'failed';
    const workcenter = `4711;${PASSWORD};2001`;
    const seated = await this.#send('setWorkcenter', this.#named(['workcenter', workcenter]));
    if (seated !== 'ok') return seated;
    const ready = await this.#send('setCurrentWorkmode', this.#named(['workmode', READY]));
    if (ready !== 'ok') return ready;
    const place = this.#record.splits.placeOf(this.user);
    if (place === undefined) return 'failed';
    this.#loggedOn = true;
    this.#record.loggedOn(this.user, place, again);
    return 'ok';
  }

  /** Logs off. Does nothing if the agent is not logged on. */
  async logOff(): Promise<void> {
    if (!this.#loggedOn) return;
    this.#loggedOn = false;
    await Promise.all(
      ['ui', 'container'].map((name) => this.#send('unsubscribe', this.#named(['appId', this.#appId(name)]))),
    );
    const outcome = await this.#send('setCurrentWorkmode', this.#named(['workmode', LOGGED_OFF]));
    this.#record.loggedOff(this.user, outcome === 'ok');
  }

  async #workOnce(): Promise<Outcome> {
    const count = this.#random() < PARALLEL_SHARE ? 2 : 1;
    const outcomes = await Promise.all(Array.from({ length: count }, () => this.#sendWork()));
    if (!outcomes.includes('relogon')) return outcomes.includes('failed') ? 'failed' : 'ok';
    this.#loggedOn = false;
    return 'relogon';
  }

  #sendWork(): Promise<Outcome> {
    const choice = this.#random();
    if (choice < 0.5) return this.#send('setAttachedData', this.#attachedData());
    if (choice < 0.65) return this.#send('getAttributes', this.#named());
    if (choice < 0.8) return this.#send('setCurrentWorkmode', this.#named(['workmode', this.#workmode()]));
    if (choice < 0.85) return this.#send('setCurrentQueues', this.#atWork(['queues', ['sales', 'service']]));
    if (choice < 0.9 || !this.#habits.objectMethods)
      return this.#send('getPresence', this.#atWork(['pattern', EVERYONE]));
    if (choice < 0.92) return this.#send('getPresence', [[this.#habits.dialect.workElement, EVERYONE]]);
    if (choice < 0.96 || this.#callId === '') return this.#makeCall();
    if (choice < 0.98) return this.#send('holdCall', [['callId', this.#callId]]);
    const colleague = this.#habits.colleague(this.#random);
    return this.#send('transferCall', [
      ['callId', this.#callId],
      [this.#habits.dialect.workElement, colleague],
    ]);
  }

  async #makeCall(): Promise<Outcome> {
    const callId = `${this.#run}-${this.user}-${this.#requests}-call`;
    const logons = this.#logons;
    const call = this.#atWork(['remoteNumber', '+41315550100'], ['callId', callId]);
    const outcome = await this.#send('makeCall', call);
    if (outcome === 'ok' && logons === this.#logons) this.#callId = callId;
    return outcome;
  }

  #workmode(): string {
    const choice = this.#random();
    if (choice < 0.4) return READY;
    if (choice < 0.8) return NOT_READY;
    return String(FIRST_CUSTOM_WORKMODE + Math.floor(this.#random() * CUSTOM_WORKMODES));
  }

  /** Sends one request and records the outcome. Never rejects. */
  async #send(method: string, parameters: Parameters): Promise<Outcome> {
    const body = Buffer.from(writeMessage('1.1', method, parameters));
    const sentUser = this.#spelled();
    this.#requests += 1;
    const id = `${this.#run}-${this.user}-${this.#requests}`;
    const headers: Record<string, string> = {
      'content-type': mediaTypeOf('1.1'),
      accept: 'text/xml',
      'user-agent': 'SAP NetWeaver Application Server (1.0;753)',
      soapaction: '""',
      [DELIVERY_HEADER]: id,
    };
    if (this.#habits.withHeaders) {
      headers[USER_HEADER] = sentUser;
      headers['cookie'] = `${SESSION_COOKIE}=${this.#sessionId}`;
    }
    const begunAt = performance.now();
    this.#record.begun();
    try {
      const answer = await this.#client.post(this.#url(), headers, body);
      const by = answeredBy(answer);
      const failure = by === undefined ? faultCodeOf(answer) : undefined;
      this.#record.ended({ agent: this.user, method, id, begunAt, by, failure });
      return this.#take(method, body, answer, begunAt);
    } catch (error) {
      const failure = error instanceof NoAnswer ? error.code : String(error);
      this.#record.error(failure);
      this.#record.ended({ agent: this.user, method, id, begunAt, by: undefined, failure });
      return 'failed';
    }
  }

  #take(method: string, body: Buffer, answer: HttpAnswer, begunAt: number): Outcome {
    const now = performance.now();
    const code = answer.status === 200 ? undefined : faultCodeOf(answer);
    if (code === undefined) this.#record.answered(now - begunAt);
    else this.#record.fault(code, now - begunAt);

    const by = answeredBy(answer);
    if (by === undefined) return code === undefined ? 'ok' : 'failed';
    // Any connector may answer a request that names no agent.
    const names = this.#habits.withHeaders || callerOf(readMessage(body.toString())) !== '';
    this.#record.answeredBy(names ? this.user : undefined, by, begunAt, now);
    this.#compare(names, body, answer.body);

    // Outside a logon, "not logged on" in the agent's attributes means the same as the Fault.
    const forgotten =
      code === UNKNOWN_SESSION ||
      (this.#loggedOn && method === 'getAttributes' && readElement(answer.body, 'loggedOn') === 'false');
    if (forgotten) {
      this.#record.told(this.user, by);
      return 'relogon';
    }
    return code === undefined ? 'ok' : 'failed';
  }

  /** Compares the connector's receipt with what was sent. */
  #compare(names: boolean, sent: Buffer, answer: string): void {
    const arrived = readElement(answer, 'sha256');
    if (arrived === undefined) return;
    const user = readElement(answer, 'user') ?? '';
    const asSent = createHash('sha256').update(sent).digest('hex') === arrived;
    if (!asSent || (names && user.toUpperCase() !== this.user)) this.#record.corrupted();
  }

  #named(...more: (readonly [string, string | readonly string[]])[]): Parameters {
    return [[this.#habits.dialect.userElement, this.#spelled()], ...more];
  }

  #atWork(...more: (readonly [string, string | readonly string[]])[]): Parameters {
    return [[this.#habits.dialect.workElement, this.#spelled()], ...more];
  }

  #subscription(name: string): Parameters {
    const appUrl = `http://crmapp1.example.com:8000/sap/PLACEHOLDER/${name}?sap-client=100&user=${this.user}`;
    return this.#named(['appId', this.#appId(name)], ['appUrl', appUrl]);
  }

  #appId(name: string): string {
    return `${this.#run}-${this.user}-${this.#logons}-${name}`;
  }

  /** A document inside the document, as text. Its fake user element must not be taken for the agent. */
  #attachedData(): Parameters {
    const { min, max } = this.#habits.bodyBytes;
    const filler = 'x'.repeat(Math.floor(min + this.#random() * (max - min)));
    return this.#atWork([
      'attachedData',
      `<ItemAttachedData><Application id="SAP-IC"><user>PLACEHOLDER</user><CV01>${filler}</CV01></Application></ItemAttachedData>`,
    ]);
  }

  #spelled(): string {
    if (!this.#habits.mixedCase || this.#random() < 0.5) return this.user;
    return Array.from(this.user, (letter) => (this.#random() < 0.5 ? letter.toLowerCase() : letter)).join('');
  }

  /** The public format of ABAP session ids: URL-encoded, and never decoded. */
  #newSessionId(): string {
    const inner = Array.from({ length: 22 }, () => URL64[Math.floor(this.#random() * URL64.length)]).join('');
    return `SID%3aANON%3acrmapp1_CRP_00%3a${inner}-NEW`;
  }

  /** An agent uses all gateways in turn, so simultaneous requests go through different ones. */
  #url(): URL {
    const { urls } = this.#habits;
    return urls[this.#requests % urls.length] as URL;
  }

  /** Exponentially distributed, as the work of independent people is. */
  #untilNextWork(): number {
    return Math.min(60_000, (-Math.log(1 - this.#random()) * 1000) / this.#habits.ratePerAgent);
  }
}

const URL64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

function answeredBy(answer: HttpAnswer): AnsweredBy | undefined {
  const connector = answer.headers[CONNECTOR_HEADER];
  const incarnation = answer.headers[INCARNATION_HEADER];
  if (typeof connector !== 'string' || typeof incarnation !== 'string') return undefined;
  return { connector, incarnation };
}

function faultCodeOf(answer: HttpAnswer): string {
  const code = /GW_[A-Z_]+/.exec(answer.body)?.[0];
  return code ?? readElement(answer.body, 'faultstring') ?? `HTTP ${answer.status}`;
}
