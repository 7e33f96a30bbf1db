import type { Command } from 'commander';
import type { Environment } from '../../config/computed.ts';
import { SHARED_TOKEN } from '../../config/rules-admin.ts';
import { ADMIN_URL_VARIABLE, TOKEN_FILE_VARIABLE } from '../../config/variables.ts';
import type { Output } from '../output.ts';
import type { AdminFlags, Answer, Question } from './client.ts';
import { askAdmin, DEFAULT_URL } from './client.ts';
import type { JsonFlag, Look } from './present.ts';
import { show } from './present.ts';

/** What every command of `admin` gets from the program. */
export interface AdminContext {
  readonly env: Environment;
  readonly output: Output;
  readonly exitWith: (code: number) => void;
}

/** The question was answered, and the answer is no. */
export const EXIT_NO = 3;

export type ReadFlags = AdminFlags & JsonFlag;

export interface ChangeFlags extends ReadFlags {
  readonly by?: string;
  readonly why: string;
}

/** A command that changes nothing. */
export function readCommand(parent: Command, usage: string, description: string): Command {
  return withConnection(parent.command(usage).description(description)).option(
    '--json',
    'print JSON, at a terminal too',
  );
}

/** A command that changes something. */
export function changeCommand(parent: Command, usage: string, description: string): Command {
  return withName(
    readCommand(parent, usage, description).requiredOption('--why <reason>', 'reason for the event log'),
  );
}

export function withName(command: Command): Command {
  return command.option('--by <name>', 'your name for the event log ($USER), where the token names no one');
}

export function withConnection(command: Command): Command {
  return command
    .option('--admin <url>', `admin plane of the gateway ($${ADMIN_URL_VARIABLE}, else ${DEFAULT_URL})`)
    .option('--token-file <file>', `file with a token of the admin plane ($${TOKEN_FILE_VARIABLE})`);
}

/** Reads, and shows the answer. */
export async function read<Body>(
  { env, output }: AdminContext,
  flags: ReadFlags,
  question: Omit<Question, 'method'>,
  text: (body: Body, look: Look) => string,
): Promise<Body> {
  const { body } = await askAdmin<Body>(flags, { method: 'GET', ...question }, env);
  show(output, flags, body, text);
  return body;
}

/** Makes a change, and shows the answer. */
export async function change<Body>(
  context: AdminContext,
  flags: ChangeFlags,
  path: string,
  fields: Readonly<Record<string, unknown>>,
  text: (body: Body, look: Look) => string,
  method: 'POST' | 'PUT' = 'POST',
): Promise<void> {
  const answer = await send<Body>(context, flags, path, fields, method);
  show(context.output, flags, answer.body, text);
  warnIfPending(context.output, answer);
}

/** Makes a change without showing the answer. */
export async function send<Body>(
  { env }: AdminContext,
  flags: ChangeFlags,
  path: string,
  fields: Readonly<Record<string, unknown>> = {},
  method: 'POST' | 'PUT' = 'POST',
): Promise<Answer<Body>> {
  const by = flags.by ?? (await claimedName(flags, env));
  const body = { why: flags.why, ...(by ? { by } : {}), ...fields };
  return askAdmin<Body>(flags, { method, path, body }, env);
}

/** Who makes a change, unless the token tells: then the gateway refuses other names. */
async function claimedName(flags: AdminFlags, env: Environment): Promise<string | undefined> {
  const user = env['USER'];
  if (!user) return undefined;
  try {
    const { body } = await askAdmin<Session>(flags, { method: 'GET', path: '/session' }, env);
    return body.kind === 'token' && body.user !== SHARED_TOKEN ? undefined : user;
  } catch {
    // An earlier release has no sessions. Any other reason will keep the change from being made too.
    return user;
  }
}

interface Session {
  readonly user: string | null;
  readonly kind: string | null;
}

export function warnIfPending(output: Output, { status }: Answer<unknown>): void {
  if (status === 202)
    output.err('decided, but some gateway has not acknowledged it yet: check `ici-gateway admin status`\n');
}

export function poolPath(pool: string): string {
  return `/pools/${encodeURIComponent(pool)}`;
}

export function instancePath(pool: string, instance: string): string {
  return `${poolPath(pool)}/instances/${encodeURIComponent(instance)}`;
}
