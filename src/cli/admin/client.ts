import { setTimeout as sleep } from 'node:timers/promises';
import type { Environment } from '../../config/computed.ts';
import { readAdminToken } from '../../config/secrets.ts';
import { ADMIN_URL_VARIABLE, TOKEN_FILE_VARIABLE } from '../../config/variables.ts';

export const DEFAULT_URL = 'http://127.0.0.1:9090';

/** The flags that say which gateway is asked, and with which token. */
export interface AdminFlags {
  readonly admin?: string;
  readonly tokenFile?: string;
}

type QueryValue = string | number | boolean | undefined;

export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  /** Values that are `undefined` are left out. */
  readonly query?: Readonly<Record<string, QueryValue>>;
  readonly body?: Readonly<Record<string, unknown>>;
  /** Ends the wait for the answer. */
  readonly signal?: AbortSignal;
}

export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
}

/** The gateway answered, and refused. */
export class AdminRefused extends Error {
  /** What the request names does not exist, such as a binding. */
  readonly isMissing: boolean;

  constructor(status: number, reason: string, isMissing: boolean) {
    super(`${reason} (status ${status})`);
    this.isMissing = isMissing;
  }
}

/** No answer came, so the gateway may be away for a moment. */
export class AdminSilent extends Error {}

// A move may wait for other gateways several times, and a restart waits for one process after another.
const ANSWER_MS = 120_000;

/** Asks the admin API of a gateway. Throws an Error with the reason, and the remedy if there is one. */
export async function askAdmin<Body>(
  flags: AdminFlags,
  question: Question,
  env: Environment,
): Promise<Answer<Body>> {
  const { status, content } = await askFor(flags, question, env);
  return { status, body: JSON.parse(content.toString()) as Body };
}

/** Asks for a file. Throws like {@link askAdmin}. */
export async function askFile(
  flags: AdminFlags,
  question: Omit<Question, 'method'>,
  env: Environment,
): Promise<Buffer> {
  const { content } = await askFor(flags, { method: 'GET', ...question }, env);
  return content;
}

async function askFor(
  flags: AdminFlags,
  { method, path, query = {}, body, signal }: Question,
  env: Environment,
): Promise<{ readonly status: number; readonly content: Buffer }> {
  const base = adminUrl(flags, env);
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) url.searchParams.set(name, String(value));
  const token = tokenHeader(flags.tokenFile, env);
  const timeout = AbortSignal.timeout(ANSWER_MS);
  const request = {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...token,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
  };
  const { ok, status, content } = await send(url, request).catch((error: unknown) => {
    throw noAnswerError(error, base, method !== 'GET');
  });
  if (!ok) throw refusal(status, content.toString(), { path, hasToken: 'authorization' in token });
  return { status, content };
}

export type TokenHeader = Readonly<Record<string, string>>;

/** The header with the token, if a file with one is known. */
export function tokenHeader(tokenFile: string | undefined, env: Environment): TokenHeader {
  const file = tokenFile ?? env[TOKEN_FILE_VARIABLE];
  return file === undefined ? {} : { authorization: `Bearer ${readAdminToken(file)}` };
}

/** Waits, unless the signal ends it. Never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal }).catch(() => {
    // The caller asks the signal.
  });
}

/** The address of the gateway to ask. */
function adminUrl(flags: AdminFlags, env: Environment): string {
  const url = flags.admin ?? (env[ADMIN_URL_VARIABLE] || DEFAULT_URL);
  // "localhost:9090" is also a valid URL, with the scheme "localhost".
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  const source = flags.admin === undefined ? ADMIN_URL_VARIABLE : '--admin';
  throw new Error(`${source} must be a URL such as ${DEFAULT_URL}`);
}

async function send(
  url: URL,
  request: RequestInit,
): Promise<{ readonly ok: boolean; readonly status: number; readonly content: Buffer }> {
  const answer = await fetch(url, request);
  return { ok: answer.ok, status: answer.status, content: Buffer.from(await answer.arrayBuffer()) };
}

// With these errors the request may have arrived. All other errors come before the first byte is sent.
const AFTER_SENDING = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'UND_ERR_HEADERS_TIMEOUT']);

/** @param isChange the request may have made a change although no answer came */
function noAnswerError(error: unknown, admin: string, isChange: boolean): Error {
  const { name, message, cause } = error as Error & { readonly cause?: Partial<NodeJS.ErrnoException> };
  const isLate = name === 'TimeoutError';
  const why = isLate ? `none within ${ANSWER_MS / 1_000} s` : (cause?.code ?? cause?.message ?? message);
  if (!isChange || !(isLate || AFTER_SENDING.has(why)))
    return new AdminSilent(`no answer from the admin plane at ${admin}: ${why}${remedyOf(why)}`, {
      cause: error,
    });
  // The connection also ends when the controller is replaced.
  return new Error(
    `the connection to the admin plane at ${admin} ended before the answer (${why}), so the outcome is unknown: check the gateway's log and \`ici-gateway admin status\`, and repeat the command if needed`,
    { cause: error },
  );
}

function remedyOf(why: string): string {
  if (why === 'ECONNREFUSED')
    return `; is the gateway running, and is this its admin.address? (--admin URL, $${ADMIN_URL_VARIABLE})`;
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(why))
    return '; name the authority of its certificate in NODE_EXTRA_CA_CERTS';
  return '';
}

/** What needs no token on the host of the gateway. */
const HOST_REMEDIES: Readonly<Record<string, string>> = {
  '/reload': ", or on the gateway's host `ici-gateway reload --pid-file FILE`",
  '/restart': ", or on the gateway's host `ici-gateway restart --rolling --pid-file FILE`",
  '/stop': ", or on the gateway's host `ici-gateway stop --pid-file FILE`",
};

function refusal(
  status: number,
  text: string,
  { path, hasToken }: { readonly path: string; readonly hasToken: boolean },
): AdminRefused {
  const reason = reasonIn(text);
  // A route that does not exist is refused with a plain text.
  if (status === 404 && reason === undefined)
    return new AdminRefused(status, `the gateway has no ${path}: it is of an earlier release`, false);
  const isLocked = status === 401 || status === 403;
  const remedy =
    isLocked && !hasToken ? `; give --token-file or $${TOKEN_FILE_VARIABLE}${HOST_REMEDIES[path] ?? ''}` : '';
  // The gateway speaks to those who send HTTP.
  if (status === 401 && !hasToken) return new AdminRefused(status, `this needs a log-in${remedy}`, false);
  return new AdminRefused(status, `${reason ?? text.trim()}${remedy}`, status === 404);
}

function reasonIn(text: string): string | undefined {
  try {
    return String((JSON.parse(text) as { error?: unknown }).error);
  } catch {
    return undefined;
  }
}
