import { randomBytes } from 'node:crypto';
import type { AgentAct, RecordedRequest, RequestQuery, WorkerRequests } from '../core/recent-requests.ts';
import { ANY_CODE } from '../core/recent-requests.ts';
import type { RequestRing } from './access-log.ts';

const ACTS: readonly (AgentAct | null)[] = [null, 'logon', 'logoff'];

/** Finds requests in the ring of this process. */
export class RecentRequests {
  /** Other processes, and this host after a restart, have others. */
  readonly #id = randomBytes(4).toString('hex');
  readonly #startedAt = Date.now();
  readonly #ring: RequestRing;
  readonly #showName: ((name: string) => string) | undefined;

  /** @param showName converts a user name as for the log; `undefined` if names are shown unchanged */
  constructor(ring: RequestRing, showName: ((name: string) => string) | undefined) {
    this.#ring = ring;
    this.#showName = showName;
  }

  find(query: RequestQuery): WorkerRequests {
    const { recorded, size, endedAt } = this.#ring;
    const kept = this.#firstKept();
    const position = query.after?.[this.#id];
    const first = Math.max(kept, Math.min(position ?? 0, recorded));
    const isWanted = this.#filterOf(query);
    const requests: RecordedRequest[] = [];
    let leftOut = 0;
    for (const number of this.#candidates(query, first)) {
      const at = number % size;
      if (!isWanted(at)) continue;
      if (requests.length < query.limit) requests.push(this.#read(at));
      // Only those who follow are told how many there are.
      else if (query.after === undefined) break;
      else leftOut += 1;
    }
    return {
      ring: this.#id,
      recorded,
      since: kept === 0 ? this.#startedAt : (endedAt[kept % size] as number),
      overwritten: position === undefined ? 0 : Math.max(0, kept - position),
      leftOut,
      requests,
    };
  }

  /** The numbers of the requests that may match, down to the first one. */
  *#candidates({ session, user, operation }: RequestQuery, first: number): Generator<number> {
    // Sessions stand at the beginning.
    const between = user ?? operation;
    const rarest = session ?? (between === undefined ? undefined : `\n${between}`);
    if (rarest !== undefined) yield* this.#mentioning(`${rarest}\n`, first);
    else for (let number = this.#ring.recorded - 1; number >= first; number -= 1) yield number;
  }

  /** Those whose texts have this part. Bytes are searched, because making strings of all takes too long. */
  *#mentioning(part: string, first: number): Generator<number> {
    const { text, textEnd, textBytes, recorded } = this.#ring;
    const wanted = Buffer.from(part);
    const end = textEnd % textBytes;
    let last = recorded;
    for (const [lapStart, from, to] of [
      [textEnd - end, end, 0],
      [textEnd - end - textBytes, textBytes, end],
    ] as const) {
      for (const found of placesOf(wanted, text, from, to)) {
        const number = this.#numberAt(lapStart + found);
        if (number < first) return;
        if (number < last) yield number;
        last = number;
      }
    }
  }

  /** The number of the oldest request that no later one has overwritten. */
  #firstKept(): number {
    const { textEnd, textBytes } = this.#ring;
    return this.#numberAt(textEnd - textBytes - 1) + 1;
  }

  /** The number of the last request whose texts begin at or before this place. */
  #numberAt(place: number): number {
    const { recorded, size, textStart } = this.#ring;
    let low = Math.max(0, recorded - size);
    let high = recorded;
    // Texts are written in the order of the numbers.
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((textStart[middle % size] as number) <= place) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #filterOf(query: RequestQuery): (at: number) => boolean {
    const ring = this.#ring;
    const { pool, user, session, instance, code, operation, mostOfCode = Number.POSITIVE_INFINITY } = query;
    const needsTexts = user !== undefined || session !== undefined || operation !== undefined;
    const ofCode = new Map<string, number>();
    return (at) => {
      const itsCode = ring.code[at];
      if (pool !== undefined && ring.pool[at] !== pool) return false;
      if (instance !== undefined && ring.instance[at] !== instance) return false;
      if (code !== undefined && (code === ANY_CODE ? itsCode === undefined : itsCode !== code)) return false;
      if (needsTexts) {
        const [itsSession, itsUser, , , itsOperation] = this.#texts(at);
        if (session !== undefined && itsSession !== session) return false;
        if (user !== undefined && itsUser !== user) return false;
        if (operation !== undefined && itsOperation !== operation) return false;
      }
      if (itsCode === undefined) return true;
      const earlier = ofCode.get(itsCode) ?? 0;
      ofCode.set(itsCode, earlier + 1);
      return earlier < mostOfCode;
    };
  }

  #texts(at: number): string[] {
    const { text, textStart, textLength, textBytes } = this.#ring;
    const start = (textStart[at] as number) % textBytes;
    return text.toString('utf8', start, start + (textLength[at] as number)).split('\n');
  }

  #read(at: number): RecordedRequest {
    const ring = this.#ring;
    const [session = '', user = '', requestId = '', client = '', operation = ''] = this.#texts(at);
    const instanceMs = ring.instanceMs[at] as number;
    return {
      at: ring.endedAt[at] as number,
      requestId,
      client: orNull(client),
      pool: orNull(ring.pool[at] as string),
      user: user === '' || this.#showName === undefined ? orNull(user) : this.#showName(user),
      session: orNull(session),
      identitySource: ring.source[at] ?? null,
      instance: ring.instance[at] ?? null,
      decision: ring.decision[at] as string,
      operation: orNull(operation),
      act: ACTS[ring.act[at] as number] ?? null,
      status: ring.status[at] as number,
      code: ring.code[at] ?? null,
      attempts: ring.attempts[at] as number,
      durationMs: hundredths(ring.durationMs[at] as number),
      instanceMs: Number.isNaN(instanceMs) ? null : hundredths(instanceMs),
      waitedMs: hundredths(ring.waitedMs[at] as number),
    };
  }
}

/** Where the part begins, from the end of a range to its start. */
function* placesOf(part: Buffer, text: Buffer, end: number, start: number): Generator<number> {
  for (let at = end; at > start; ) {
    at = text.lastIndexOf(part, at - 1);
    if (at < start) return;
    yield at;
  }
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}

function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
