import { closeSync } from 'node:fs';
import { deepFreeze } from '../config/tree.ts';
import type { Logger } from '../telemetry/logger.ts';
import { openProcessLog } from '../telemetry/logger.ts';
import { Channel } from './channel.ts';
import type { ChildRole, FromChild, HostChannel, Init, RunningChild } from './messages.ts';
import { PROTOCOL } from './messages.ts';
import { endAtOnce, tuneHeap } from './runtime.ts';

/**
 * What a process of one role consists of. Rejects where it cannot start. It is the only one to hear events, so that
 * those which come before it listens wait for it.
 */
export type BuildChild = (init: Init, channel: HostChannel, logger: Logger) => Promise<RunningChild>;

// A key on the terminal, and what service managers send to a group, reach children too: the supervisor acts for all.
const FOR_THE_SUPERVISOR = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

// Many times in the shortest silence that the watchdog may be told to suffer.
const HEARTBEAT_MS = 250;

/**
 * The life of a child process: takes its orders from the supervisor that forked
 * it, and ends at once when that is gone, because nobody would end it later.
 *
 * @param role what it will be told to be; a spare process can be told to be either
 * @param loads bring in the code of each role, which takes a while
 */
export async function runChild(
  role: ChildRole | 'spare',
  loads: Readonly<Record<ChildRole, () => Promise<BuildChild>>>,
): Promise<void> {
  for (const name of FOR_THE_SUPERVISOR) process.on(name, () => undefined);
  process.on('disconnect', endAtOnce);
  if (!process.connected) endAtOnce();
  let sent = Promise.resolve();
  const channel = new Channel({
    on: (event, handler) => process.on(event, handler as (message: unknown) => void),
    send: (message) => {
      sent = sendUp(message);
    },
  });
  tuneHeap();
  if (role === 'spare') {
    process.title = 'ici-gateway: spare';
    void Promise.all(Object.values(loads).map((load) => load())).then(() => channel.loaded());
  }
  const init = await channel.init;
  process.title = `ici-gateway: ${init.id}`;
  for (const fd of init.surplusFds) closeSync(fd);
  const log = openProcessLog(init.logLevel, init.id);
  let code = 0;
  try {
    refuseOther(init.protocol);
    const build = await loads[init.role]();
    const running = await build(deepFreeze(init), channel, log.logger);
    channel.ready();
    setInterval(() => channel.alive(), HEARTBEAT_MS);
    await running.end(await channel.farewell);
  } catch (error) {
    code = 1;
    log.logger.error({ err: error }, 'cannot go on');
    channel.failed(error);
  }
  if (!(await log.close())) endAtOnce();
  await sent;
  process.exit(code);
}

function refuseOther(protocol: number): void {
  if (protocol === PROTOCOL) return;
  throw new Error(
    `the installed version cannot run beside the one that is running (their processes speak protocol ${PROTOCOL} and ${protocol}): stop the gateway and start it again instead of replacing its processes`,
  );
}

/** Resolves when the message has left this process, and with it all before it, or when nobody is there to read it. */
function sendUp(message: FromChild): Promise<void> {
  return new Promise((resolve) => {
    // A supervisor that is gone has ended this process, or is about to.
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, () => resolve());
  });
}
