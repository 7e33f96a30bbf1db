import { pino } from 'pino';
import type { Logger } from './logger.ts';

/** The log line of a request. Fields that do not apply are `undefined`. */
export interface RequestLine {
  readonly requestId: string;
  /** An address. */
  readonly client: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly pool: string;
  readonly decision: string;
  readonly instance: string | undefined;
  readonly user: string | undefined;
  readonly session: string | undefined;
  readonly epoch: number;
  readonly attempts: number;
  readonly durationMs: number;
  readonly instanceMs: number | undefined;
  readonly parkedMs: number | undefined;
  readonly responseBytes: number | undefined;
  /** The fields of a failed request, as a JSON fragment that begins with a comma. */
  readonly trouble: string;
}

const INFO = 30;

/**
 * Writes a request's line to the logger's destination in pino's format, but from a
 * template: pino needs three times as long to serialize an object of this size, and
 * only this line is written for every request. All other lines go through
 * pino.
 */
export class RequestLog {
  readonly #stream: { write(line: string): unknown };
  readonly #bindings: string;

  constructor(logger: Logger) {
    const internals = logger as unknown as Record<symbol, unknown>;
    this.#stream = internals[pino.symbols.streamSym] as { write(line: string): unknown };
    this.#bindings = String(internals[pino.symbols.chindingsSym] ?? '');
  }

  write(line: RequestLine): void {
    this.#stream.write(
      `{"level":${INFO},"time":${Date.now()}${this.#bindings},"requestId":"${line.requestId}"` +
        `${text('client', line.client)},"method":"${line.method}","path":${JSON.stringify(line.path)},"status":${line.status}` +
        `,"pool":"${line.pool}","decision":"${line.decision}"${text('instance', line.instance)}` +
        `${line.user === undefined ? '' : `,"user":${JSON.stringify(line.user)}`}${text('session', line.session)}` +
        `,"epoch":${line.epoch},"attempts":${line.attempts},"durationMs":${hundredths(line.durationMs)}` +
        `${number('instanceMs', line.instanceMs)}${number('parkedMs', line.parkedMs)}` +
        `${number('responseBytes', line.responseBytes)}${line.trouble},"msg":"request"}\n`,
    );
  }
}

/** For internal values that need no escaping: ids, digests, words, addresses. */
function text(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":"${value}"`;
}

function number(name: string, value: number | undefined): string {
  return value === undefined ? '' : `,"${name}":${hundredths(value)}`;
}

/** Rounds to hundredths of a millisecond; finer digits are noise. */
function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
