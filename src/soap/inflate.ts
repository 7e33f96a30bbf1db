import type { Transform } from 'node:stream';
import { constants, createGunzip, createInflate, createInflateRaw } from 'node:zlib';

export type Compression = 'gzip' | 'deflate';

export interface Inflated {
  readonly bytes: Buffer;
  /** False if there was more than `maxBytes`. */
  readonly complete: boolean;
}

/**
 * Inflates a body, but at most `maxBytes` of output, so that a small body cannot fill the memory. Input that is cut off
 * yields what it contains. Resolves to `undefined` if the bytes are not compressed that way. Never rejects.
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
  // With this flush, input that is cut off is no error.
  const options = { finishFlush: constants.Z_SYNC_FLUSH };
  if (compression === 'gzip') return createGunzip(options);
  // "deflate" means the zlib format in HTTP, but some senders omit its header (RFC 9110 section 8.4.1.2).
  const [first = 0, second = 0] = bytes;
  const hasHeader = (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
  return hasHeader ? createInflate(options) : createInflateRaw(options);
}
