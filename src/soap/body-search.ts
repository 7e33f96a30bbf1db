import type { ElementRule } from './element-rules.ts';
import { EnvelopeScanner } from './envelope-scanner.ts';
import type { Compression } from './inflate.ts';
import { inflate } from './inflate.ts';
import { parseMediaType } from './media-type.ts';
import { findRootPart } from './multipart.ts';
import type { ScanOptions } from './scan-plan.ts';
import type { ScanResult } from './scan-result.ts';
import { failed } from './scan-result.ts';

export interface BodyHeaders {
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string | undefined;
}

export interface BodySearchLimits extends ScanOptions {
  /** How much of a body is searched, after a compressed body is inflated. */
  readonly maxBytes: number;
}

/**
 * Finds the names of the agent in a request body, also in one that is compressed or has attachments. It only reads the
 * bytes; the gateway forwards the body unchanged.
 */
export class BodySearch {
  readonly #scanner: Pick<EnvelopeScanner, 'scan'>;
  readonly #maxBytes: number;

  constructor(
    rules: readonly ElementRule[],
    limits: BodySearchLimits,
    scanner: Pick<EnvelopeScanner, 'scan'> = new EnvelopeScanner(rules, limits),
  ) {
    this.#scanner = scanner;
    this.#maxBytes = limits.maxBytes;
  }

  /**
   * Searches synchronously, unless the body must be inflated first. Never throws and never rejects: the result says
   * what is wrong with the body.
   *
   * @param complete false if the bytes are only the beginning of the body
   */
  search(bytes: Buffer, headers: BodyHeaders, complete: boolean): ScanResult | Promise<ScanResult> {
    const isWhole = bytes.length <= this.#maxBytes;
    const searched = isWhole ? bytes : bytes.subarray(0, this.#maxBytes);
    const coding = headers.contentEncoding;
    if (coding === undefined || coding === '') {
      return this.#searchPlain(searched, headers.contentType, complete && isWhole);
    }
    const compression = compressionOf(coding);
    if (compression === undefined) return failed('compressed');
    if (compression === 'none') {
      return this.#searchPlain(searched, headers.contentType, complete && isWhole);
    }
    return this.#searchCompressed(searched, compression, headers.contentType, complete && isWhole);
  }

  #searchPlain(bytes: Buffer, contentType: string | undefined, complete: boolean): ScanResult {
    const media = parseMediaType(contentType);
    if (!media.essence.startsWith('multipart/')) return this.#scanner.scan(bytes, media.charset, complete);
    if (media.essence !== 'multipart/related') return failed('multipart');
    const root = findRootPart(bytes, media, complete);
    if (typeof root === 'string') return failed(root);
    return this.#scanner.scan(root.bytes, parseMediaType(root.contentType).charset, root.complete);
  }

  async #searchCompressed(
    bytes: Buffer,
    compression: Compression,
    contentType: string | undefined,
    complete: boolean,
  ): Promise<ScanResult> {
    const inflated = await inflate(bytes, compression, this.#maxBytes);
    if (inflated === undefined) return failed('compressed');
    return this.#searchPlain(inflated.bytes, contentType, complete && inflated.complete);
  }
}

/** Returns `undefined` for a coding, or a chain of codings, that is not supported (RFC 9110 section 8.4.1). */
function compressionOf(contentEncoding: string): Compression | 'none' | undefined {
  switch (contentEncoding.trim().toLowerCase()) {
    case '':
    case 'identity':
      return 'none';
    case 'gzip':
    case 'x-gzip':
      return 'gzip';
    case 'deflate':
      return 'deflate';
    default:
      return undefined;
  }
}
