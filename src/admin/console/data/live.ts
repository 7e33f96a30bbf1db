import type { Problem } from './client.ts';
import { read } from './client.ts';
import { clock } from './clock.ts';
import type { GatewayStatus } from './contract.ts';
import { Store, useSelected } from './store.ts';

export interface Live {
  readonly status: GatewayStatus | undefined;
  /** When it was received, by the gateway's clock. */
  readonly at: number;
  readonly problem: Problem | undefined;
}

/** The gateway sends at least one status in 5 s. */
export const STALE_AFTER_MS = 8_000;
const POLL_MS = 5_000;
const STREAM_AGAIN_MS = 30_000;

/** The status of this gateway, as it changes: by a stream of events, or by polling while there is none. */
class LiveStatus extends Store<Live> {
  #source: EventSource | undefined;
  #poll: ReturnType<typeof setTimeout> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  #running = false;

  start(): void {
    if (this.#running) return;
    this.#running = true;
    document.addEventListener('visibilitychange', this.#onVisibility);
    this.#open();
  }

  stop(): void {
    this.#running = false;
    document.removeEventListener('visibilitychange', this.#onVisibility);
    this.#close();
    this.set({ status: undefined, at: 0, problem: undefined });
  }

  /** Asks now, for an act that waits for its effect. */
  async refresh(): Promise<void> {
    const answer = await read<GatewayStatus>('/status');
    if (!this.#running) return;
    if (answer.ok) this.#take(answer.body);
    else this.set({ ...this.value, problem: answer.problem });
  }

  // A browser opens few connections to one host, so a page in the background gives its own back.
  readonly #onVisibility = (): void => {
    if (document.visibilityState === 'hidden') this.#close();
    else if (this.#source === undefined) this.#open();
  };

  #open(): void {
    this.#close();
    const source = new EventSource('/status/stream');
    this.#source = source;
    source.addEventListener('status', ({ data }: MessageEvent<string>) => {
      this.#endPolling();
      this.#take(JSON.parse(data) as GatewayStatus);
    });
    source.addEventListener('error', () => {
      if (this.#source !== source) return;
      // The reason is hidden from the page, so ask; 401 leads to the log-in.
      if (this.#poll === undefined) this.#pollNow();
      // The browser tries again by itself, except after an answer that is no stream.
      if (source.readyState === EventSource.CLOSED)
        this.#again ??= setTimeout(() => {
          this.#again = undefined;
          this.#open();
        }, STREAM_AGAIN_MS);
    });
  }

  #pollNow(): void {
    const next = (): void => {
      this.#poll = setTimeout(() => {
        void this.refresh().then(() => {
          if (this.#poll !== undefined) next();
        });
      }, POLL_MS);
    };
    next();
    void this.refresh();
  }

  #endPolling(): void {
    clearTimeout(this.#poll);
    this.#poll = undefined;
  }

  #close(): void {
    this.#endPolling();
    clearTimeout(this.#again);
    this.#again = undefined;
    this.#source?.close();
    this.#source = undefined;
  }

  #take(status: GatewayStatus): void {
    this.set({ status, at: clock.now(), problem: undefined });
  }
}

export const live = new LiveStatus({ status: undefined, at: 0, problem: undefined });

/** Becomes another text when something about the agents of a pool has changed: a move, a drain, a loss. */
export function useChangesOf(pool: string): string {
  return useSelected(live, ({ status }) => {
    const shown = status?.pools.find(({ name }) => name === pool);
    const bound = shown?.instances.map(({ admin, boundAgents }) => `${admin} ${boundAgents}`);
    return `${shown?.view.id} ${bound?.join()}`;
  });
}
