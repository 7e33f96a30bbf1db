import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const TOKEN = 'token-of-the-tests-0123456789';

/** A file with {@link TOKEN}, for `admin.tokenFile`. */
export interface TokenFile {
  readonly path: string;
  /** The configuration option as an environment variable. */
  readonly env: Readonly<Record<string, string>>;
  remove(): void;
}

export function writeTokenFile(): TokenFile {
  const directory = mkdtempSync(join(tmpdir(), 'ici-gateway-token-'));
  const path = join(directory, 'token');
  writeFileSync(path, `${TOKEN}\n`, { mode: 0o600 });
  return {
    path,
    env: { ICI_GATEWAY_ADMIN__TOKEN_FILE: path },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: any answer of the admin API
  readonly body: any;
}

/** Calls the admin API. Changes carry the token unless another one, or none (`''`), is given. */
export async function ask(
  adminUrl: string,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  body?: unknown,
  token = TOKEN,
): Promise<Answer> {
  const response = await fetch(`${adminUrl}${path}`, {
    method,
    headers: {
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}
