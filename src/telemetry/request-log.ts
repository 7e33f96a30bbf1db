import { pino } from 'pino';
import type { Logger } from './logger.ts';

/** The one line of a request. What does not apply is `undefined`. */
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
  /** What an exchange has only when something went wrong, as a JSON fragment that begins with a comma. */
  readonly trouble: string;
}

const INFO = 30;

/**
 * Writes a request's line where the logger writes its own and as pino would, but
 * by a template: pino's walk over an object of this size takes three times as
 * long, and this line alone is written for every request. Changes of state are
 * pino's.
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

/** For values of our own that need no escape: ids, digests, words, addresses. */
function text(name: string, value: string | undefined): string {
  return value === undefined ? '' : `,"${name}":"${value}"`;
}

function number(name: string, value: number | undefined): string {
  return value === undefined ? '' : `,"${name}":${hundredths(value)}`;
}

/** Hundredths of a millisecond are below the noise. */
function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
