import { StoreUnavailable } from '../core/ports.ts';

/**
 * What an operator can do about an error of Redis. Scripts wrap errors in a text of their own, so the patterns match
 * anywhere in the message.
 */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /\bREADONLY\b/,
    'this Redis is a replica; give the address of the master, or affinity.redis.sentinels to follow it',
  ],
  [
    /All sentinels are unreachable.*Connection is closed/,
    'no Sentinel takes a connection; check affinity.redis.sentinels, and whether they run',
  ],
  [/All sentinels are unreachable.*NOAUTH/, 'give affinity.redis.sentinelPasswordFile'],
  [
    /All sentinels are unreachable.*WRONGPASS/,
    'check affinity.redis.sentinelUsername and sentinelPasswordFile',
  ],
  [/^the node \S+ does not answer/, 'check affinity.redis.cluster, and whether the nodes run'],
  [/Cluster redirections/, 'the master of the slot is away; see CLUSTER NODES'],
  [
    /\bMOVED\b|\bCROSSSLOT\b/,
    'this Redis is part of a cluster; give affinity.redis.cluster in place of the url',
  ],
  [/\bCLUSTERDOWN\b/, 'slots of the cluster have no master; see CLUSTER INFO'],
  [/\bNOAUTH\b/, 'give affinity.redis.passwordFile'],
  [/\bWRONGPASS\b/, 'check affinity.redis.username and passwordFile'],
  [
    /(permission|executing the script|ACL failure).*\bchannels?\b/i,
    'the ACL user may not use the channels; give it &<affinity.keyPrefix>:*',
  ],
  [
    /(permission|executing the script|ACL failure).*\bkeys?\b/i,
    'the ACL user may not use the keys; give it ~<affinity.keyPrefix>:*',
  ],
  [/\bNOPERM\b|can't run this command|No permissions/i, 'the ACL user lacks a right; see ACL LOG'],
  [/\bOOM\b/, 'raise maxmemory, with maxmemory-policy noeviction'],
  [/\bNOREPLICAS\b/, 'fewer replicas are connected than min-replicas-to-write asks for'],
  [/\bMISCONF\b/, 'Redis cannot save to its disk; see its log'],
  [/cluster support disabled/i, 'this Redis is no cluster; give affinity.redis.url in place of the cluster'],
];

/** Turns any error of ioredis into a StoreUnavailable with a remedy, because callers treat all of them alike. */
export function unavailable(cause: unknown): StoreUnavailable {
  const message = cause instanceof Error ? cause.message : String(cause);
  const remedy = REMEDIES.find(([pattern]) => pattern.test(message))?.[1];
  return new StoreUnavailable(`redis: ${message}${remedy === undefined ? '' : ` (${remedy})`}`, cause);
}

/** Redis has reached its `maxmemory`, and has not carried out the command. */
export function isOutOfMemory(message: string): boolean {
  return /\bOOM\b/.test(message);
}

/** The ACL user lacks a right, so trying again does not help. */
export function isForbidden(message: string): boolean {
  return /\bNOPERM\b/.test(message);
}

/** The server is a replica. A demoted master keeps its connections, and reports this only on a write. */
export function isDemoted(message: string): boolean {
  return /\bREADONLY\b/.test(message);
}
