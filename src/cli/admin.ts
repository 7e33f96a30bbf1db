import type { Command } from 'commander';
import type { Environment } from '../config/computed.ts';
import { readAdminToken } from '../config/secrets.ts';
import type { Output } from './output.ts';
import { examples } from './output.ts';

export interface AdminFlags {
  readonly admin: string;
  readonly tokenFile?: string;
  readonly by?: string;
  readonly why?: string;
  readonly deadline?: string;
  readonly zone?: string;
  readonly limit?: string;
  readonly session?: boolean;
  readonly softTimeout?: string;
}

export interface Question {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

// A move may wait for other gateways several times, and a restart waits for one process after another.
const ANSWER_MS = 120_000;
export const TOKEN_FILE = 'ICI_GATEWAY_ADMIN__TOKEN_FILE';

/** `ici-gateway admin`: calls the admin API of a running gateway. */
export function addAdmin(program: Command, env: Environment, output: Output): void {
  const admin = program
    .command('admin')
    .description(
      'Operate a running gateway. A change of a pool applies to all gateways that share its store.',
    )
    .addHelpText(
      'after',
      examples([
        'ici-gateway admin status',
        'ici-gateway admin drain ici a --why "patch the host" --deadline 30m --token-file admin.token',
        'ici-gateway admin maintenance on --why "new release of the connector" --token-file admin.token',
        'ici-gateway admin move ici MILLER b --why "complains of echo" --token-file admin.token',
        'ici-gateway admin failback-policy ici "at 03:30" --zone Europe/Berlin --why "quiet then" --token-file admin.token',
      ]),
    );
  const ask = (flags: AdminFlags, question: Question): Promise<void> =>
    askAdmin(flags, question, env, output);
  const change = (
    flags: AdminFlags,
    path: string,
    body: Readonly<Record<string, unknown>> = {},
    method: 'POST' | 'PUT' = 'POST',
  ): Promise<void> => {
    const by = flags.by ?? env['USER'];
    return ask(flags, { method, path, body: { why: flags.why, ...(by ? { by } : {}), ...body } });
  };

  const INSTANCE_VERBS: readonly [verb: string, description: string][] = [
    ['enable', 'Let an instance take new agents again.'],
    [
      'drain',
      'Let an instance keep its agents but take no new ones. It is disabled when the last agent has gone.',
    ],
    ['disable', 'Disable an instance at once. Its agents are moved.'],
    ['release', 'End the quarantine of an instance, if you know that it holds none of its old agents.'],
  ];
  for (const [verb, description] of INSTANCE_VERBS) {
    const command = changeCommand(admin, `${verb} <pool> <instance>`, description);
    if (verb === 'drain')
      command.option('--deadline <when>', 'latest end of the drain, such as 30m or 2026-03-01T22:00:00Z');
    command.action((pool: string, instance: string, flags: AdminFlags) =>
      change(flags, `${poolPath(pool)}/instances/${encodeURIComponent(instance)}/${verb}`, {
        deadline: flags.deadline,
      }),
    );
  }
  changeCommand(
    admin,
    'activate <pool> <instance>',
    'Make an instance of a failover pool the active one at once.',
  ).action((pool: string, instance: string, flags: AdminFlags) =>
    change(flags, `${poolPath(pool)}/activate`, { instance }),
  );
  changeCommand(admin, 'failback <pool>', 'Return a failover pool to its preferred instance at once.').action(
    (pool: string, flags: AdminFlags) => change(flags, `${poolPath(pool)}/failback`),
  );
  changeCommand(
    admin,
    'failback-policy <pool> <policy>',
    'Set when a failover pool returns to its preferred instance: never, when-idle, immediate, or "at HH:MM".',
  )
    .option('--zone <zone>', "time zone of HH:MM, such as Europe/Berlin (default: the gateway's)")
    .action((pool: string, policy: string, flags: AdminFlags) =>
      change(flags, `${poolPath(pool)}/failback-policy`, { policy, zone: flags.zone }, 'PUT'),
    );
  changeCommand(
    admin,
    'adopt-config <pool>',
    'Make the configuration of this gateway the agreed one for all gateways of the pool. Gateways that would send agents elsewhere stop serving the pool until they are restarted with it.',
  ).action((pool: string, flags: AdminFlags) => change(flags, `${poolPath(pool)}/adopt-config`));
  changeCommand(
    admin,
    'move <pool> <agent> <instance>',
    'Move one agent of a sticky pool to another instance.',
  )
    .option('--session', '<agent> is a session instead of a user name')
    .action((pool: string, agent: string, instance: string, flags: AdminFlags) =>
      change(flags, `${poolPath(pool)}/agents/move`, {
        instance,
        [flags.session === true ? 'session' : 'agent']: agent,
      }),
    );
  changeCommand(
    admin,
    'maintenance <on|off>',
    'Start or end maintenance of this gateway only: it answers requests with a maintenance page and forwards none.',
  ).action((onOrOff: string, flags: AdminFlags) => {
    if (onOrOff !== 'on' && onOrOff !== 'off')
      throw new Error(`maintenance must be on or off, but is "${onOrOff}"`);
    return change(flags, '/maintenance', { on: onOrOff === 'on' });
  });
  changeCommand(
    admin,
    'stop',
    'Stop this gateway softly: it answers all requests in progress first, and refuses none.',
  )
    .option(
      '--soft-timeout <duration>',
      'time after which requests without an answer are cut off (lifecycle.shutdownTimeout)',
    )
    .action((flags: AdminFlags) => change(flags, '/stop', { softTimeout: flags.softTimeout }));
  readCommand(admin, 'events <pool>', 'Show the changes of a pool and who made them, newest first.')
    .option('--limit <n>', 'number of events', '20')
    .action((pool: string, flags: AdminFlags) =>
      ask(flags, {
        method: 'GET',
        path: `${poolPath(pool)}/events?limit=${encodeURIComponent(flags.limit ?? '')}`,
      }),
    );
  readCommand(admin, 'status', 'Show the state of the gateway and its pools.').action((flags: AdminFlags) =>
    ask(flags, { method: 'GET', path: '/status' }),
  );
}

function readCommand(admin: Command, usage: string, description: string): Command {
  return admin
    .command(usage)
    .description(description)
    .option('--admin <url>', 'admin plane of any gateway that shares the store', 'http://127.0.0.1:9090');
}

function changeCommand(admin: Command, usage: string, description: string): Command {
  return readCommand(admin, usage, description)
    .requiredOption('--why <reason>', 'reason for the event log')
    .option('--by <name>', 'your name for the event log ($USER)')
    .option('--token-file <file>', `file with the token of the admin plane ($${TOKEN_FILE})`);
}

function poolPath(pool: string): string {
  return `/pools/${encodeURIComponent(pool)}`;
}

/** Sends the request and prints the JSON answer. Throws an Error with the reason for a failure. */
export async function askAdmin(
  flags: AdminFlags,
  question: Question,
  env: Environment,
  output: Output,
): Promise<void> {
  const { method, path, body } = question;
  // "localhost:9090" is also a valid URL, with the scheme "localhost".
  if (!URL.canParse(flags.admin) || !/^https?:$/.test(new URL(flags.admin).protocol))
    throw new Error('--admin must be a URL such as http://127.0.0.1:9090');
  const tokenFile = flags.tokenFile ?? env[TOKEN_FILE];
  const request = {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(body === undefined || tokenFile === undefined
        ? {}
        : { authorization: `Bearer ${readAdminToken(tokenFile)}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(ANSWER_MS),
  };
  const { ok, status, text } = await send(new URL(path, flags.admin), request).catch((error: unknown) => {
    throw noAnswerError(error, flags.admin, method !== 'GET');
  });
  if (!ok) throw new Error(`${refusal(text)} (status ${status})`);
  output.out(`${JSON.stringify(JSON.parse(text), null, 2)}\n`);
  if (status === 202)
    output.err('decided, but some gateway has not acknowledged it yet: check `ici-gateway admin status`\n');
}

async function send(
  url: URL,
  request: RequestInit,
): Promise<{ readonly ok: boolean; readonly status: number; readonly text: string }> {
  const answer = await fetch(url, request);
  return { ok: answer.ok, status: answer.status, text: await answer.text() };
}

// With these errors the request may have arrived. All other errors come before the first byte is sent.
const AFTER_SENDING = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'UND_ERR_HEADERS_TIMEOUT']);

/** @param isChange the request may have made a change although no answer came */
function noAnswerError(error: unknown, admin: string, isChange: boolean): Error {
  const { name, message, cause } = error as Error & { readonly cause?: { readonly code?: string } };
  const isLate = name === 'TimeoutError';
  const why = isLate ? `none within ${ANSWER_MS / 1_000} s` : (cause?.code ?? message);
  if (!isChange || !(isLate || AFTER_SENDING.has(why)))
    return new Error(`no answer from the admin plane at ${admin}: ${why}`, { cause: error });
  // The connection also ends when the controller is replaced.
  return new Error(
    `the connection to the admin plane at ${admin} ended before the answer (${why}), so the outcome is unknown: check the gateway's log and \`ici-gateway admin status\`, and repeat the command if needed`,
    { cause: error },
  );
}

function refusal(text: string): string {
  try {
    return String((JSON.parse(text) as { error?: unknown }).error);
  } catch {
    return text.trim();
  }
}
