import type { BalancerName } from '../core/balancers.ts';
import type { Cause, Loss, Origin } from '../core/origin.ts';

/**
 * Origins as the stores keep them: `<since>|<epoch>|<reason>`. A store adds since and epoch when it carries out a step;
 * the reason comes from the gateway: `<letter of the cause>|<gateway>|<detail>`. With a short instance id and gateway
 * name, the entry in Redis stays below 64 bytes, so that its bucket stays compact.
 */
const CAUSES: Readonly<Record<Cause['kind'], string>> = {
  claimed: 'c',
  grouped: 'g',
  joined: 'j',
  rebound: 'r',
  moved: 'm',
  'placed-alone': 'a',
  'written-back': 'w',
};
const BALANCERS: Readonly<Record<BalancerName, string>> = {
  rendezvous: 'h',
  'round-robin': 'o',
  'least-bound': 'b',
  'least-in-flight': 'f',
  random: 'r',
};
const LOSSES: Readonly<Record<Loss, string>> = {
  down: 'd',
  disabled: 'x',
  restarted: 'r',
  removed: 'g',
  inactive: 'i',
};
export const CLAIMED = CAUSES.claimed;
export const GROUPED = CAUSES.grouped;
export const JOINED = CAUSES.joined;
export const MOVED = CAUSES.moved;

const kinds = inverse(CAUSES);
const balancers = inverse(BALANCERS);
const losses = inverse(LOSSES);

// The largest time value of a Date (ECMA-262 §21.4.1.1).
const LAST_MOMENT_MS = 8.64e15;
// The begin of a host's name says most, and the end distinguishes pods and restarts.
const GATEWAY = 24;
const GATEWAY_HEAD = 12;

/** The reason for a step; `''` if its cause is not known. */
export function reasonText(cause: Cause | undefined, gateway = ''): string {
  return cause === undefined ? '' : `${CAUSES[cause.kind]}|${shortened(gateway)}|${detailOf(cause)}`;
}

/** @param reason see {@link reasonText} */
export function originText(since: number, epoch: number, reason: string): string {
  return `${since}|${epoch}|${reason}`;
}

/** The inverse of {@link originText}. */
export function splitOrigin(text: string): { since: number; epoch: number; reason: string } {
  const [since = '', epoch = ''] = text.split('|', 2);
  return { since: Number(since), epoch: Number(epoch), reason: text.slice(since.length + epoch.length + 2) };
}

/** The origin of a binding; `undefined` for a text that this release cannot read. */
export function readOrigin(text: string): Origin | undefined {
  const { since, epoch, reason } = splitOrigin(text);
  const [letter = '', gateway = ''] = reason.split('|', 2);
  const cause = causeOf(kinds.get(letter), reason.slice(letter.length + gateway.length + 2));
  if (cause === undefined || !(since <= LAST_MOMENT_MS)) return undefined;
  return { since, epoch, gateway, cause };
}

function detailOf(cause: Cause): string {
  switch (cause.kind) {
    case 'claimed':
      return BALANCERS[cause.balancer];
    case 'rebound':
      return LOSSES[cause.loss] + cause.from;
    case 'moved':
      return `${cause.by.replaceAll('\n', ' ')}\n${cause.why}`;
    default:
      return '';
  }
}

function causeOf(kind: Cause['kind'] | undefined, detail: string): Cause | undefined {
  switch (kind) {
    case 'claimed': {
      const balancer = balancers.get(detail);
      return balancer && { kind, balancer };
    }
    case 'rebound': {
      const loss = losses.get(detail.charAt(0));
      return loss && { kind, loss, from: detail.slice(1) };
    }
    case 'moved': {
      const end = detail.indexOf('\n');
      return { kind, by: detail.slice(0, end), why: detail.slice(end + 1) };
    }
    default:
      return kind && { kind };
  }
}

function shortened(gateway: string): string {
  const name = gateway.replaceAll('|', '_');
  if (name.length <= GATEWAY) return name;
  return `${name.slice(0, GATEWAY_HEAD)}~${name.slice(GATEWAY_HEAD + 1 - GATEWAY)}`;
}

function inverse<Key extends string>(letters: Readonly<Record<Key, string>>): ReadonlyMap<string, Key> {
  return new Map(Object.entries<string>(letters).map(([key, letter]) => [letter, key as Key]));
}
