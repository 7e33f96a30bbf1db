import type { SpawnOptions } from 'node:child_process';
import { spawn } from 'node:child_process';
import type { Environment } from '../config/computed.ts';

// systemd ends a service whose pulse is late by the whole time; three pulses in it may each be late.
const PULSES = 3;
const MICROSECONDS = 1_000;
const PULSE_LIMIT_MS = 5_000;

/**
 * The service manager that started this process, if it wants to know how the gateway is: systemd with `Type=notify`,
 * and with `WatchdogSec` (sd_notify(3), sd_watchdog_enabled(3)).
 *
 * Its socket takes datagrams, which Node cannot send to a path; so each message is one run of `systemd-notify`, with
 * which systemd comes.
 */
export class ServiceManager {
  readonly #pulseMs: number | undefined;
  readonly #env: Environment;
  readonly #onFailed: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;
  #hasFailed = false;

  /** @param onFailed is called once if messages cannot be sent: systemd will then end the gateway */
  constructor(env: Environment, pid: number, onFailed: (error: Error) => void) {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec, WATCHDOG_PID: forPid } = env;
    this.#env = env;
    this.#onFailed = onFailed;
    if (!socket) return;
    const isForUs = forPid === undefined || Number(forPid) === pid;
    const watchdogMs = isForUs ? Number(usec ?? 0) / MICROSECONDS : 0;
    this.#pulseMs = watchdogMs > 0 ? watchdogMs / PULSES : Number.POSITIVE_INFINITY;
  }

  /** The gateway listens. From now on the timer shows that the event loop of this process turns. */
  ready(): void {
    if (this.#pulseMs === undefined) return;
    this.#send();
    if (!Number.isFinite(this.#pulseMs)) return;
    this.#timer = setInterval(() => this.#send(), this.#pulseMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  // READY with each pulse: a manager that is busy may lose a message whose sender has already ended.
  #send(): void {
    const options: SpawnOptions = {
      env: this.#env as NodeJS.ProcessEnv,
      stdio: 'ignore',
      timeout: PULSE_LIMIT_MS,
    };
    const child = spawn('systemd-notify', ['READY=1', 'WATCHDOG=1'], options);
    child.on('error', (error) => this.#failed(error));
    child.on('exit', (code, signal) => {
      if (code !== 0) this.#failed(new Error(`systemd-notify ended with ${code ?? signal}`));
    });
    child.unref();
  }

  #failed(error: Error): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#onFailed(error);
  }
}
