import type { FailureKind } from '../core/failure.ts';
import { FAILURES } from '../core/failure.ts';
import type { Name } from '../core/identity.ts';
import type { Target } from '../core/target.ts';

/**
 * What gateways say to each other when one relays a request to an instance for the other (HTTP/1.1 over TLS).
 *
 * The sender announces where the request is to go and waits (`Expect: 100-continue`, RFC 9110 §10.1.1). The peer judges
 * that and says 100, or refuses. The first byte of the body is the commitment: before it nothing was sent. The body is
 * the whole request: the length of its head in 4 bytes, the head as JSON, then its own body. The answer has the same
 * form.
 */

/** The field that says where the request is to go. */
export const ORDER_FIELD = 'ici-gateway-relay';
/** The field of the answer that says what became of the request. */
export const OUTCOME_FIELD = 'ici-gateway-relayed';
export const RELAY_PATH = '/relay';
/** While the instance has not answered, the peer sends 102 this often, so that a peer that hangs is noticed. */
export const STILL_WAITING_MS = 500;

/**
 * `answered`: the answer follows. `unsent`: the instance has got no byte of the request. Any other: it may have got it,
 * and this is how that failed.
 */
export type RelayOutcome = 'answered' | 'unsent' | FailureKind;

/** Where a request is to go, by the view of the gateway that sends it. */
export interface RelayOrder {
  readonly pool: string;
  readonly target: Omit<Target, 'entry'>;
  /** The epoch of the sender's view. */
  readonly viewEpoch: number;
  readonly requestId: string;
}

export interface RelayedRequestHead {
  readonly method: string;
  readonly path: string;
  /** Names and values alternating, in latin-1. */
  readonly headers: string[];
}

export interface RelayedAnswerHead {
  readonly status: number;
  readonly statusText: string;
  /** As in the request. */
  readonly headers: readonly string[];
}

const LENGTH_BYTES = 4;

export function orderToField(order: RelayOrder): string {
  return Buffer.from(JSON.stringify(order)).toString('base64url');
}

/** `undefined` if the field has another form. Only gateways with the key write it; those of another release may. */
export function orderFromField(field: unknown): RelayOrder | undefined {
  if (typeof field !== 'string') return undefined;
  const { pool, target, viewEpoch, requestId } = (parsed(Buffer.from(field, 'base64url')) ?? {}) as Readonly<
    Partial<Record<keyof RelayOrder, unknown>>
  >;
  const { instance, incarnation, root, epoch } = (target ?? {}) as Readonly<
    Partial<Record<keyof Target, unknown>>
  >;
  const isOrder =
    typeof pool === 'string' &&
    typeof viewEpoch === 'number' &&
    typeof requestId === 'string' &&
    typeof instance === 'string' &&
    typeof incarnation === 'string' &&
    (epoch === undefined || typeof epoch === 'number') &&
    (root === undefined || isName(root));
  if (!isOrder) return undefined;
  return {
    pool,
    viewEpoch,
    requestId,
    target: {
      instance,
      incarnation,
      ...(root === undefined ? {} : { root: root as Name }),
      ...(epoch === undefined ? {} : { epoch: epoch as number }),
    },
  };
}

function isName(value: unknown): boolean {
  const { kind, value: text } = (value ?? {}) as Readonly<Partial<Record<keyof Name, unknown>>>;
  return (kind === 'user' || kind === 'session' || kind === 'address') && typeof text === 'string';
}

/**
 * `undefined` if it is none, so that what became of the request is unknown. Only `unsent` lets it be sent again: a failure
 * that would let it, or that is not answered, does not come from a peer that has taken a request.
 */
export function outcomeFromField(field: unknown): RelayOutcome | undefined {
  if (field === 'answered' || field === 'unsent') return field;
  if (typeof field !== 'string' || !Object.hasOwn(FAILURES, field)) return undefined;
  const kind = field as FailureKind;
  const { mayRetry, answer } = FAILURES[kind];
  return mayRetry || answer === undefined ? undefined : kind;
}

/** A head with its length, as a message begins. */
export function encodeHead(head: RelayedRequestHead | RelayedAnswerHead): Buffer {
  const json = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json]);
}

/** Splits a message into its head and what follows; `undefined` as long as the head is not complete. */
export function splitHead(message: Buffer): { readonly head: unknown; readonly rest: Buffer } | undefined {
  if (message.length < LENGTH_BYTES) return undefined;
  const end = LENGTH_BYTES + message.readUInt32BE();
  if (message.length < end) return undefined;
  return { head: parsed(message.subarray(LENGTH_BYTES, end)), rest: message.subarray(end) };
}

export function isRequestHead(head: unknown): head is RelayedRequestHead {
  const { method, path, headers } = (head ?? {}) as Readonly<
    Partial<Record<keyof RelayedRequestHead, unknown>>
  >;
  return typeof method === 'string' && typeof path === 'string' && areStrings(headers);
}

export function isAnswerHead(head: unknown): head is RelayedAnswerHead {
  const { status, statusText, headers } = (head ?? {}) as Readonly<
    Partial<Record<keyof RelayedAnswerHead, unknown>>
  >;
  return typeof status === 'number' && typeof statusText === 'string' && areStrings(headers);
}

function areStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function parsed(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString());
  } catch {
    return undefined;
  }
}
