import { closeSync } from 'node:fs';
import { deepFreeze } from '../config/tree.ts';
import type { Logger } from '../telemetry/logger.ts';
import { exitNow, openProcessLog } from '../telemetry/logger.ts';
import { Channel } from './channel.ts';
import type { ChildRole, FromChild, HostChannel, Init, RunningChild } from './messages.ts';
import { checkProtocol } from './messages.ts';
import { tuneHeap } from './runtime.ts';
import { hasLostTerminal } from './terminal.ts';

/**
 * Builds all parts of a process of one role. Rejects if the process cannot start. Only the builder registers handlers
 * on the channel; events that arrive earlier wait for it.
 */
export type BuildChild = (init: Init, channel: HostChannel, logger: Logger) => Promise<RunningChild>;

// Ctrl-C on a terminal and signals to a process group reach the children too. They ignore them; the supervisor acts.
const SUPERVISOR_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

// Far shorter than the smallest `lifecycle.watchdogTimeout`.
const HEARTBEAT_MS = 250;

/**
 * Runs a child process. It obeys the supervisor that forked it and exits at once
 * when the supervisor is gone, because nothing else would end it later.
 *
 * @param role the role it will get; a standby process (`spare`) can get either
 * @param loads import the code of each role, which takes a while
 * @param loadMore what a standby process imports besides
 */
export async function runChild(
  role: ChildRole | 'spare',
  loads: Readonly<Record<ChildRole, () => Promise<BuildChild>>>,
  loadMore: () => Promise<unknown>,
): Promise<void> {
  for (const name of SUPERVISOR_SIGNALS) process.on(name, () => undefined);
  process.on('disconnect', exitNow);
  if (!process.connected) exitNow();
  let sent = Promise.resolve();
  const channel = new Channel({
    on: (event, handler) => process.on(event, handler as (message: unknown) => void),
    send: (message) => {
      sent = sendToSupervisor(message);
    },
  });
  tuneHeap();
  if (role === 'spare') {
    process.title = 'ici-gateway: spare';
    void Promise.all([...Object.values(loads), loadMore].map((load) => load())).then(() => channel.loaded());
  }
  const init = await channel.init;
  process.title = `ici-gateway: ${init.id}`;
  for (const fd of init.surplusFds) closeSync(fd);
  const log = openProcessLog(init.logLevel, init.id);
  let code = 0;
  try {
    checkProtocol(init.protocol);
    const build = await loads[init.role]();
    const running = await build(deepFreeze(init), channel, log.logger);
    channel.ready();
    setInterval(() => channel.alive(), HEARTBEAT_MS);
    await running.end(await channel.shutdown);
  } catch (error) {
    code = 1;
    log.logger.error({ err: error }, 'cannot continue');
    channel.failed(error);
  }
  if (!(await log.close())) exitNow();
  await sent;
  if (hasLostTerminal()) exitNow();
  process.exit(code);
}

/** Resolves when this message and all earlier ones have left this process, or when the channel is closed. */
function sendToSupervisor(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    // Without a channel the supervisor is gone, and the disconnect handler ends this process.
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, () => resolve());
  });
}
