import { STEPS } from '../core/history/history-table.ts';
import type { IncidentEvent, IncidentFacts } from '../core/incident/facts.ts';
import { firstPage } from '../core/incident/first-page.ts';
import type { Pseudonyms } from '../core/incident/pseudonyms.ts';
import { requestsStatus } from '../core/recent-requests.ts';
import { seenNamesStatus } from '../core/seen-names.ts';
import { MOST_EVENTS } from '../core/view/view-store-limits.ts';
import { builtFrom, VERSION } from '../package.ts';
import type { AdminServerOptions } from './admin-options.ts';
import { listEpochs } from './epochs.ts';
import { listEvents } from './event-log.ts';
import { knowAgents, namesIn, withoutShownUsers, withoutUsers } from './incident-names.ts';
import type { PoolSource } from './pool-source.ts';
import { iso } from './status.ts';

export type IncidentOptions = Pick<
  AdminServerOptions,
  | 'pools'
  | 'status'
  | 'gateways'
  | 'config'
  | 'options'
  | 'scrape'
  | 'readers'
  | 'incident'
  | 'recentRequests'
>;

export interface IncidentQuestion {
  /** Milliseconds since the Unix epoch. */
  readonly from: number;
  readonly to: number;
  /** Names of people are replaced. */
  readonly isHashed: boolean;
}

const FIRST_PAGE = 'README.txt';

// Before they are compressed. Larger files are left out, and the first page says so.
const MOST_FILE_BYTES = 8 * 1_024 * 1_024;
const MOST_BYTES = 32 * 1_024 * 1_024;
// A store or worker that hangs must not keep an operator waiting who asks because of it.
const PART_MS = 5_000;
const MOST_REQUESTS = 5_000;
const SECOND_MS = 1_000;

/** The value that the file of a part holds; text for a file that is not JSON. */
interface Part {
  readonly name: string;
  readonly about: string;
  readonly value: unknown;
}

/** The files of an archive by their names, the first page first. Takes some seconds at most. Never rejects. */
export async function incidentFiles(
  options: IncidentOptions,
  question: IncidentQuestion,
): Promise<ReadonlyMap<string, string>> {
  const missing: string[] = [];
  const within: Within = (what, reading) =>
    inTime(reading).catch((error: Error) => void missing.push(`${what}: ${error.message}`));
  const { facts, parts } = await gather(options, question, within, missing);
  const { isHashed } = question;
  const names = isHashed ? namesIn(facts, options) : undefined;
  if (names !== undefined)
    await Promise.all(
      options.pools.map((pool) =>
        within(`names of the agents of pool ${pool.name}, in texts`, knowAgents(names, pool)),
      ),
    );
  const files = new Map<string, string>();
  const abouts = new Map<string, string>();
  let bytes = 0;
  for (const { name, about, value } of [requestsPart(facts, names), ...parts]) {
    // The process has leases to renew meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
    const text =
      typeof value === 'string' ? value : `${JSON.stringify(names?.json(value) ?? value, null, 1)}\n`;
    const size = Buffer.byteLength(text);
    if (size > MOST_FILE_BYTES || bytes + size > MOST_BYTES) {
      missing.push(`${name}: it has ${size} bytes, which is too much`);
      continue;
    }
    bytes += size;
    files.set(name, text);
    abouts.set(name, about);
  }
  const about = { commit: builtFrom(), node: process.version, files: abouts, missing, isHashed };
  const page = firstPage(facts, about);
  return new Map([[FIRST_PAGE, names?.text(page) ?? page], ...files]);
}

/** Reads everything at once, because a store or a worker may be slow. */
async function gather(
  options: IncidentOptions,
  question: IncidentQuestion,
  within: Within,
  missing: string[],
): Promise<{ readonly facts: IncidentFacts; readonly parts: readonly Part[] }> {
  const { pools, config, options: shown, incident } = options;
  const { from, to, isHashed } = question;
  const status = options.status();
  const [listing, metrics, store, asked = [], ofPools] = await Promise.all([
    within('other gateways', options.gateways()),
    within('metrics', options.scrape()),
    within('the version of the store', incident.storeVersion()),
    within('requests', options.recentRequests({ limit: MOST_REQUESTS })),
    Promise.all(pools.map((pool) => readPool(pool, question, options, within))),
  ]);
  if (listing?.partial === true) missing.push(`other gateways: ${listing.reason}`);
  const { requests, silent } = requestsStatus(asked, { limit: MOST_REQUESTS });
  for (const worker of silent) missing.push(`requests of ${worker}: no answer in time`);
  const facts: IncidentFacts = {
    from,
    to,
    status,
    gateways: listing?.gateways ?? [],
    events: ofPools.flatMap(({ events }) => events),
    lines: incident.lines().filter((line) => (line.lastAt ?? line.at) >= from && line.at <= to),
    requests: incident.ended(to - from),
    recent: requests.filter(({ at }) => Date.parse(at) >= from),
  };
  const versions = {
    gateway: VERSION,
    commit: builtFrom() ?? null,
    node: process.version,
    store: store ?? null,
  };
  const part = (name: string, about: string, value: unknown): Part => ({ name, about, value });
  const parts = [
    part('errors.json', 'how many requests of the last minutes ended, and with which errors', facts.requests),
    part('status.json', 'what GET /status answers: pools, instances, reports, alarms', status),
    part('gateways.json', 'all gateways that share the store', listing ?? {}),
    part('log.json', "the last lines of the controller's log", facts.lines),
    part('metrics.txt', 'what GET /metrics answers', metrics ?? ''),
    part(
      'config.json',
      'the configuration in effect, with secrets masked',
      isHashed ? withoutUsers(config) : config,
    ),
    part(
      'options.json',
      'each option, its default and where it comes from',
      isHashed ? withoutShownUsers(shown) : shown,
    ),
    part('versions.json', 'versions of the gateway, of Node, of the store and of what is stored', {
      ...versions,
      ...incident.formats,
    }),
    ...ofPools.flatMap(({ parts: own }) => own),
  ];
  return { facts, parts };
}

/** Addresses of clients can belong to people. They are replaced here alone: instances may have the same. */
function requestsPart({ recent }: IncidentFacts, names: Pseudonyms | undefined): Part {
  const requests =
    names === undefined
      ? recent
      : recent.map(({ client, ...one }) => ({ ...one, client: client === null ? null : names.of(client) }));
  return {
    name: 'requests.json',
    about: 'the last requests of the period: how they were routed and answered, the newest first',
    value: requests,
  };
}

type Within = <T>(what: string, reading: Promise<T>) => Promise<T | undefined>;

/** What the archive holds of one pool. */
async function readPool(
  pool: PoolSource,
  { from, to, isHashed }: IncidentQuestion,
  { readers }: Pick<IncidentOptions, 'readers'>,
  within: Within,
): Promise<{ readonly events: readonly IncidentEvent[]; readonly parts: readonly Part[] }> {
  const { name, operations } = pool;
  const query = {
    since: new Date(from).toISOString(),
    until: new Date(to).toISOString(),
    limit: MOST_EVENTS,
  };
  const [log, epochs, seen] = await Promise.all([
    within(`events of pool ${name}`, listEvents(operations, query, readers)),
    within(`epochs of pool ${name}`, listEpochs(operations, query, readers)),
    within(`identity of pool ${name}`, pool.seenNames()),
  ]);
  // From where an operator acted tells who it was.
  const events = (log?.events ?? []).map(({ source, ...event }) => ({
    ...event,
    ...(isHashed ? {} : { source }),
  }));
  const { agreed, lastSync, parts } = operations;
  const { policy, reports } = lastSync;
  const folder = `pools/${encodeURIComponent(name)}`;
  return {
    events: events.map(({ at, firstAt, ...event }) => ({
      ...event,
      pool: name,
      at: Date.parse(at),
      ...(firstAt === undefined ? {} : { firstAt: Date.parse(firstAt) }),
    })),
    parts: [
      {
        name: `${folder}/view.json`,
        about:
          'what the gateways agree on, the reports and decisions it follows from, and this configuration',
        value: { agreed, reports, policy, parts },
      },
      {
        name: `${folder}/events.json`,
        about: 'the event log of the period, the newest first',
        value: { events, next: log?.next ?? null },
      },
      {
        name: `${folder}/epochs.json`,
        about: 'each change of the view: by which rule, who had reported what, how many agents it moved',
        value: epochs ?? {},
      },
      {
        name: `${folder}/identity.json`,
        about: 'how requests of the last hour named their agents',
        value: seen === undefined ? {} : seenNamesStatus(name, seen),
      },
      {
        name: `${folder}/history.json`,
        about: 'requests, errors, latencies and agents at this gateway, each second or minute of the period',
        // As text, because it holds numbers and ids alone.
        value: JSON.stringify(historyOf(pool, from, to)),
      },
    ],
  };
}

function historyOf({ history }: PoolSource, from: number, to: number): object {
  const { seconds, kept } = STEPS.second;
  const step = to - from <= seconds * kept * SECOND_MS ? 'second' : 'minute';
  const { from: first, ...part } = history.part(step, from / SECOND_MS, to / SECOND_MS);
  return { stepSeconds: STEPS[step].seconds, from: iso(first * SECOND_MS), ...part };
}

async function inTime<T>(reading: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${PART_MS / 1_000} s`)), PART_MS);
  });
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}
