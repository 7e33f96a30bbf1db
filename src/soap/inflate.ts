import type { Transform } from 'node:stream';
import { constants, createGunzip, createInflate, createInflateRaw } from 'node:zlib';

export type Compression = 'gzip' | 'deflate';

export interface Inflated {
  readonly bytes: Buffer;
  /** False where there was more than `maxBytes`. */
  readonly complete: boolean;
}

/**
 * Inflates the beginning of a body, up to `maxBytes` of output and no further:
 * what a small body could become in memory is bounded. Input that breaks off
 * yields what it held. Resolves to `undefined` for bytes that are not compressed
 * that way; never rejects.
 */
export function inflate(
  bytes: Buffer,
  compression: Compression,
  maxBytes: number,
): Promise<Inflated | undefined> {
  return new Promise((resolve) => {
    const stream = openStream(bytes, compression);
    const chunks: Buffer[] = [];
    let length = 0;
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length <= maxBytes) return;
      stream.destroy();
      resolve({ bytes: Buffer.concat(chunks, maxBytes), complete: false });
    });
    stream.once('end', () => resolve({ bytes: Buffer.concat(chunks, length), complete: true }));
    stream.on('error', () => resolve(undefined));
    stream.end(bytes);
  });
}

function openStream(bytes: Buffer, compression: Compression): Transform {
  // Without this flush, input that breaks off would be an error.
  const options = { finishFlush: constants.Z_SYNC_FLUSH };
  if (compression === 'gzip') return createGunzip(options);
  // HTTP means zlib format by "deflate"; some senders leave its header off (RFC 9110 section 8.4.1.2).
  const [first = 0, second = 0] = bytes;
  const hasHeader = (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
  return hasHeader ? createInflate(options) : createInflateRaw(options);
}
