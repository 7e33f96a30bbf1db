import { MOVED, originText, splitOrigin } from '../origin-text.ts';
import type { Entry } from '../packing.ts';
import { isRoot } from '../packing.ts';

/**
 * Entries as bytes. The text form of affinity/packing.ts would take twice the space here: pages of the embedded store
 * are two thirds full, and are mapped into memory as well.
 *
 *   root     0  end (6 bytes)  generation (4)  number of its placement (4)  origin
 *   pointer  1  end (6 bytes)  key of the root
 *   origin   since (6)  epoch (4)  number of its reason (4), or RARE (4) and the reason as text; or nothing
 *
 * Releases that do not know origins read the bytes before, and drop the origin when they write the root.
 */
const ROOT = 0;
const POINTER = 1;
const ORIGIN_AT = 15;
const ORIGIN_BYTES = 14;
// In place of the number of a reason that no other binding has.
const RARE = 0xffff_ffff;
const SESSION = 0x73; // 's'

/** Numbers for texts that many entries share. */
export interface SharedTexts {
  numberOf(instance: string, incarnation: string): number;
  placementOf(number: number): { readonly instance: string; readonly incarnation: string };
  numberOfReason(reason: string): number;
  reasonOf(number: number): string;
}

/** A session is a digest of 16 bytes with the text form `s~...`; its bytes are shorter. */
export function keyBytes(field: string): Buffer {
  if (!field.startsWith('s~')) return Buffer.from(field, 'utf8');
  const bytes = Buffer.allocUnsafe(17);
  bytes[0] = SESSION;
  bytes.write(field.slice(2), 1, 'base64url');
  return bytes;
}

export function fieldOf(bytes: Buffer): string {
  if (bytes[0] !== SESSION) return bytes.toString('utf8');
  return `s~${bytes.toString('base64url', 1)}`;
}

export function packBytes(entry: Entry, texts: SharedTexts): Buffer {
  if (!isRoot(entry)) {
    const key = keyBytes(entry.root);
    const bytes = Buffer.allocUnsafe(7 + key.length);
    bytes[0] = POINTER;
    bytes.writeUIntBE(entry.end, 1, 6);
    key.copy(bytes, 7);
    return bytes;
  }
  const bytes = Buffer.allocUnsafe(ORIGIN_AT);
  bytes[0] = ROOT;
  bytes.writeUIntBE(entry.end, 1, 6);
  bytes.writeUInt32BE(entry.generation, 7);
  bytes.writeUInt32BE(texts.numberOf(entry.instance, entry.incarnation), 11);
  return entry.origin === undefined ? bytes : Buffer.concat([bytes, packOrigin(entry.origin, texts)]);
}

function packOrigin(origin: string, texts: SharedTexts): Buffer {
  const { since, epoch, reason } = splitOrigin(origin);
  const bytes = Buffer.allocUnsafe(ORIGIN_BYTES);
  bytes.writeUIntBE(since, 0, 6);
  bytes.writeUInt32BE(epoch, 6);
  const isRare = reason.startsWith(MOVED);
  bytes.writeUInt32BE(isRare ? RARE : texts.numberOfReason(reason), 10);
  return isRare ? Buffer.concat([bytes, Buffer.from(reason)]) : bytes;
}

function unpackOrigin(bytes: Buffer, texts: SharedTexts): string {
  const number = bytes.readUInt32BE(10);
  const reason = number === RARE ? bytes.toString('utf8', ORIGIN_BYTES) : texts.reasonOf(number);
  return originText(bytes.readUIntBE(0, 6), bytes.readUInt32BE(6), reason);
}

/** Reads only the end, which is all that a sweep needs. */
export function endOfBytes(bytes: Buffer): number {
  return bytes.readUIntBE(1, 6);
}

export function unpackBytes(bytes: Buffer, texts: SharedTexts): Entry {
  const end = endOfBytes(bytes);
  if (bytes[0] === POINTER) return { end, root: fieldOf(bytes.subarray(7)) };
  const root = { ...texts.placementOf(bytes.readUInt32BE(11)), generation: bytes.readUInt32BE(7), end };
  return bytes.length === ORIGIN_AT
    ? root
    : { ...root, origin: unpackOrigin(bytes.subarray(ORIGIN_AT), texts) };
}
