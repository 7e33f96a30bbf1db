import { ActRefused } from '../core/act-refused.ts';
import type { GatewayStatus } from '../core/gateway-status.ts';
import type { HostChannel, HostEvent, HostRequest, Init, LiveChild } from '../process/messages.ts';
import { isOneProcess } from '../process/messages.ts';
import type { SapControlSource } from '../sapcontrol/source.ts';
import type { Logger } from '../telemetry/logger.ts';

/** What depends on the processes of the gateway: which ones exist, and how to stop or restart them. */
export type SapControlParts = Omit<SapControlSource, 'identity' | 'builtAt' | 'parameters'> & {
  readonly logger: Logger;
};

interface SupervisedParts {
  readonly init: Init;
  readonly channel: HostChannel;
  readonly status: () => GatewayStatus;
  readonly logger: Logger;
}

/** The parts of this controller's gateway. Call `onEvent` for each event of the supervisor: these name the workers. */
export function supervised({ init, channel, status, logger }: SupervisedParts): {
  readonly parts: SapControlParts;
  onEvent(event: HostEvent): void;
} {
  const { host } = init;
  const workers = new Map<string, LiveChild>(init.workers.map((worker) => [worker.id, worker]));
  const ask = async (what: HostRequest): Promise<void> => {
    const answer = await channel.ask(what);
    if (!answer.ok) throw new ActRefused(409, answer.message);
  };
  return {
    parts: {
      pid: host.pid,
      startedAt: new Date(host.startedAt),
      status,
      logger,
      state: () => status().state,
      liveWorkers: () => workers.size,
      // Leave out pid 0, of a worker that could not be started: a signal to it would reach the whole process group. In
      // a gateway of a single process, all pids are the same.
      pids: () => [
        ...new Set([
          host.pid,
          process.pid,
          ...Array.from(workers.values(), ({ pid }) => pid).filter(Boolean),
        ]),
      ],
      stop: (timeout) =>
        ask({ kind: 'stop', why: WHY, ...(timeout === undefined ? {} : { softTimeoutMs: timeout }) }),
      restart: async () => {
        if (isOneProcess(init))
          throw new ActRefused(
            409,
            'this gateway is a single process and cannot replace itself; restart its service',
          );
        // Do not wait: the answer comes when all workers are replaced, and this process is replaced next. No soft
        // timeout is needed, because the successor of each worker already runs.
        ask({ kind: 'restart', why: WHY }).catch((error: unknown) =>
          logger.error({ err: error }, 'the restart that SAPControl requested failed'),
        );
      },
      signal: async (to, signal) => {
        process.kill(to, signal);
      },
    },
    onEvent: (event) => {
      if (event.kind === 'worker-started') workers.set(event.worker.id, event.worker);
      else if (event.kind === 'worker-gone') workers.delete(event.worker.id);
    },
  };
}

/** The reason in the log. */
const WHY = 'SAPControl';
