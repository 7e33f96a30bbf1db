import type { Entry } from '../packing.ts';
import { isRoot } from '../packing.ts';

/**
 * Entries as bytes. The text form of affinity/packing.ts would take twice the space here: pages of the embedded store
 * are two thirds full, and are mapped into memory as well.
 *
 *   root     0  end (6 bytes)  generation (4)  number of its placement (4)
 *   pointer  1  end (6 bytes)  key of the root
 */
const ROOT = 0;
const POINTER = 1;
const SESSION = 0x73; // 's'

/** Numbers for placements: there are few of them, and their text is long. */
export interface PlacementNumbers {
  numberOf(instance: string, incarnation: string): number;
  placementOf(number: number): { readonly instance: string; readonly incarnation: string };
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

export function packBytes(entry: Entry, placements: PlacementNumbers): Buffer {
  if (!isRoot(entry)) {
    const key = keyBytes(entry.root);
    const bytes = Buffer.allocUnsafe(7 + key.length);
    bytes[0] = POINTER;
    bytes.writeUIntBE(entry.end, 1, 6);
    key.copy(bytes, 7);
    return bytes;
  }
  const bytes = Buffer.allocUnsafe(15);
  bytes[0] = ROOT;
  bytes.writeUIntBE(entry.end, 1, 6);
  bytes.writeUInt32BE(entry.generation, 7);
  bytes.writeUInt32BE(placements.numberOf(entry.instance, entry.incarnation), 11);
  return bytes;
}

/** Reads only the end, which is all that a sweep needs. */
export function endOfBytes(bytes: Buffer): number {
  return bytes.readUIntBE(1, 6);
}

export function unpackBytes(bytes: Buffer, placements: PlacementNumbers): Entry {
  const end = endOfBytes(bytes);
  if (bytes[0] === POINTER) return { end, root: fieldOf(bytes.subarray(7)) };
  return { ...placements.placementOf(bytes.readUInt32BE(11)), generation: bytes.readUInt32BE(7), end };
}
