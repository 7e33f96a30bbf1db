import type { Problem } from '../logic/problem.ts';
import { noAnswer, problemOf } from '../logic/problem.ts';
import { clock } from './clock.ts';

export type { Problem };

export type Answer<Body> =
  | { readonly ok: true; readonly status: number; readonly body: Body }
  | { readonly ok: false; readonly problem: Problem };

// A move may wait for other gateways several times, and a restart waits for one process after another.
const CHANGE_MS = 120_000;
const READ_MS = 10_000;
// The gateway may wait for the store and its workers, one after the other.
const FILE_MS = 60_000;

/** Called when the gateway no longer knows the session. */
let onSessionEnd: () => void = () => undefined;

export function whenSessionEnds(listener: () => void): void {
  onSessionEnd = listener;
}

export function read<Body>(path: string, signal?: AbortSignal): Promise<Answer<Body>> {
  return ask<Body>(path, { method: 'GET' }, READ_MS, signal);
}

/** Reads, and tells the gateway that the user has done something. */
export function readAfterAction<Body>(path: string): Promise<Answer<Body>> {
  return ask<Body>(path, { method: 'GET', headers: MARK }, READ_MS);
}

/** Reads a file, and tells the gateway that the user has done something. */
export function readFile(path: string): Promise<Answer<Blob>> {
  return ask<Blob>(path, { method: 'GET', headers: MARK }, FILE_MS, undefined, (response) => response.blob());
}

export function change<Body>(
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<Answer<Body>> {
  const content =
    body === undefined
      ? { headers: MARK }
      : { headers: { ...MARK, 'content-type': 'application/json' }, body: JSON.stringify(body) };
  return ask<Body>(path, { method, ...content }, CHANGE_MS);
}

// No form and no page of another origin can send this header. The gateway takes it for an action of the user.
const MARK = { 'x-ici-gateway': 'console' };

async function ask<Body>(
  path: string,
  init: RequestInit,
  withinMs: number,
  signal?: AbortSignal,
  bodyOf: (response: Response) => Promise<unknown> = async (response) => parse(await response.text()),
): Promise<Answer<Body>> {
  const timeout = AbortSignal.timeout(withinMs);
  const isChange = init.method !== 'GET';
  try {
    const response = await fetch(path, {
      ...init,
      credentials: 'same-origin',
      cache: 'no-store',
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    clock.learn(response.headers.get('date'));
    if (response.ok) return { ok: true, status: response.status, body: (await bodyOf(response)) as Body };
    const text = await response.text();
    // A wrong password is no ended session.
    if (response.status === 401 && path !== '/session') onSessionEnd();
    const retryAfter = response.headers.get('retry-after');
    return { ok: false, problem: problemOf(response.status, parse(text), { isChange, retryAfter }) };
  } catch {
    return { ok: false, problem: noAnswer(timeout.aborted, isChange, withinMs) };
  }
}

function parse(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}
