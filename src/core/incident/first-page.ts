import { ERRORS } from '../errors.ts';
import type { GatewayLine } from '../gateways.ts';
import { span } from '../span.ts';
import type { EndedRequests, IncidentEvent, IncidentFacts } from './facts.ts';
import { findingsOf } from './findings.ts';
import { lasting, moment, poolsText } from './moments.ts';

/** What the first page says beside the facts. */
export interface ArchiveDescription {
  /** The commit from which the gateway was built; `undefined` if it is not known. */
  readonly commit: string | undefined;
  readonly node: string;
  /** What each file holds, by its name. */
  readonly files: ReadonlyMap<string, string>;
  /** What could not be read or did not fit, in words. */
  readonly missing: readonly string[];
  readonly isHashed: boolean;
}

const MOST_CHANGES = 200;
const MOST_LETTERS = 100;
const MOST_SAMPLES = 3;
// The same change in two pools is agreed a moment apart.
const TOGETHER_MS = 2_000;

/** The first page of an incident archive: what is wrong, since when, and what changed. */
export function firstPage(facts: IncidentFacts, about: ArchiveDescription): string {
  const { from, to, status, gateways, requests } = facts;
  const [fault, ...others] = findingsOf(facts).map((one) => `${one.text} – ${lasting(one, to)}`);
  return [
    `Incident archive of ici-gateway, by gateway ${status.replica}`,
    `for ${span(to - from)}: from ${new Date(from).toISOString()} to ${new Date(to).toISOString()}. Times are UTC.`,
    '',
    `THE FAULT: ${fault ?? 'none was found'}`,
    ...section('ALSO FOUND', others),
    ...section('ALARMS', status.alarms.map(alarmText)),
    ...section(`REQUESTS that ended at this gateway in the last ${span(requests.withinMs)}`, [
      `${requests.ended} in all`,
      ...requests.errors.map((error) => errorText(error, facts)),
    ]),
    ...section('GATEWAYS', gateways.map(gatewayText)),
    ...section('WHAT CHANGED, the newest last', changesOf(facts)),
    ...section('VERSIONS', [
      `ici-gateway ${status.version}, ${about.commit === undefined ? 'of an unknown commit' : `commit ${about.commit}`}, Node ${about.node}`,
    ]),
    ...section(
      'FILES',
      [...about.files].map(([name, text]) => `${name}: ${text}`),
    ),
    ...section('NOT IN HERE', [
      ...about.missing,
      ...ALWAYS_MISSING,
      NAMES[about.isHashed ? 'hashed' : 'readable'],
    ]),
    '',
  ].join('\n');
}

const ALWAYS_MISSING = [
  'the bodies of requests and answers, values of sessions and cookies, passwords, tokens and other secrets',
  'what other gateways keep for themselves, such as their requests and metrics: ask them too',
];

const NAMES = {
  hashed:
    'names of agents and operators: each is replaced by name-…, the same everywhere in this archive and in no other one',
  readable: 'nothing else: names of agents and operators are readable, because that was asked for',
};

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines.map((line) => `* ${line}`)];
}

function alarmText(alarm: IncidentFacts['status']['alarms'][number]): string {
  const { severity, text, since, remedy, runbook } = alarm;
  return `${severity}: ${text}${since === null ? '' : `, since ${since}`}. ${remedy} (deploy/RUNBOOK.md${runbook})`;
}

function errorText(
  { code, requests }: EndedRequests['errors'][number],
  { recent }: Pick<IncidentFacts, 'recent'>,
): string {
  const message = (ERRORS as Readonly<Record<string, { readonly message: string }>>)[code]?.message;
  const samples = recent.filter((request) => request.code === code);
  const places = new Set(samples.flatMap(({ instance }) => instance ?? []));
  const at = places.size === 0 ? '' : ` (${[...places].sort().join(', ')})`;
  const ids = samples.slice(0, MOST_SAMPLES).map(({ requestId }) => requestId);
  const such = ids.length === 0 ? '' : `; such as ${ids.join(', ')}`;
  return `${requests} got ${code}${at}${message === undefined ? '' : `: ${message}`}${such}`;
}

function gatewayText({ replica, self, state, version, silent, seenSecondsAgo, pools }: GatewayLine): string {
  const seen = self
    ? 'this one'
    : seenSecondsAgo === null
      ? 'known to the store'
      : `seen ${seenSecondsAgo}s ago`;
  const notes = pools.flatMap(({ pool, abstains, down, differences }) => [
    ...(abstains === true ? [`pool ${pool}: it withholds its health report`] : []),
    ...(down.length > 0 ? [`pool ${pool}: it reports ${down.join(', ')} as down`] : []),
    ...differences.map(
      ({ part, configured, agreed, effect }) =>
        `pool ${pool}: ${part} is ${JSON.stringify(configured)}, agreed is ${JSON.stringify(agreed)} (${effect})`,
    ),
  ]);
  const head = `${replica} (${seen}): ${silent ? 'silent' : (state ?? 'state not known')}, ${version ?? 'version not known'}`;
  return [head, ...notes].join('; ');
}

/** The event log of all pools, with what happened in several pools at once told once. */
function changesOf({ events, to }: IncidentFacts): string[] {
  const groups: IncidentEvent[][] = [];
  for (const event of events.toSorted((a, b) => a.at - b.at)) {
    const same = groups.findLast(([first]) => first !== undefined && isSame(first, event));
    if (same === undefined) groups.push([event]);
    else same.push(event);
  }
  const left = groups.length - MOST_CHANGES;
  return [
    ...(left > 0 ? [`${left} earlier ones are in the event logs`] : []),
    ...groups.slice(-MOST_CHANGES).map((group) => {
      const [first] = group as [IncidentEvent];
      const { at, epoch, kind, instance, gateway, from, to: after, by, why } = first;
      const what = [kind, gateway === undefined ? instance : `gateway ${gateway}`]
        .filter((one) => one !== '')
        .join(' ');
      const change = from === after ? '' : ` ${short(from)} → ${short(after)}`;
      return `${moment(at, to)} ${poolsText(group.map(({ pool }) => pool))}, epoch ${epoch}: ${what}${change}; ${by}${why === '' ? '' : `: ${why}`}`;
    }),
  ];
}

/** What was agreed before and after can be long. */
function short(text: string): string {
  if (text === '') return '–';
  return text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS)}…` : text;
}

function isSame(a: IncidentEvent, b: IncidentEvent): boolean {
  const text = ({ kind, instance, gateway, from, to, why }: IncidentEvent): string =>
    JSON.stringify([kind, instance, gateway, from, to, why]);
  return Math.abs(a.at - b.at) <= TOGETHER_MS && a.pool !== b.pool && text(a) === text(b);
}
