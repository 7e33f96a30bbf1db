import type { GatewayEntry, GatewayRegistry } from '../core/gateways.ts';

const EVERY_MS = 2_000;
// A change of state comes with several events: one entry tells of all of them.
const GATHER_MS = 50;

export interface GatewayAnnouncerOptions {
  readonly registry: GatewayRegistry;
  /** This gateway's entry at this moment. */
  readonly entry: () => GatewayEntry;
}

/**
 * Keeps the entry of this gateway in the registry up to date. A registry that is away is no concern of this gateway:
 * it tries again, and the loss of the store is already logged elsewhere.
 */
export class GatewayAnnouncer {
  readonly #options: GatewayAnnouncerOptions;
  #interval: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  /** What was written last, apart from what changes all the time. */
  #written = '';
  /** The last write, which may be under way. */
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;

  constructor(options: GatewayAnnouncerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#write();
    this.#interval = setInterval(() => this.#write(), EVERY_MS).unref();
  }

  /** To be called when the state of this gateway may have changed. */
  changed(): void {
    if (this.#interval === undefined || this.#soon !== undefined) return;
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      if (comparable(this.#options.entry()) !== this.#written) this.#write();
    }, GATHER_MS).unref();
  }

  /** @param remove false if another process continues as the same gateway */
  async close({ remove }: { readonly remove: boolean }): Promise<void> {
    clearInterval(this.#interval);
    clearTimeout(this.#soon);
    this.#interval = undefined;
    if (!remove) return;
    const { registry, entry } = this.#options;
    // A write that comes later would bring the entry back.
    await this.#writing;
    await registry.remove(entry().replica).catch(() => {
      // The entry ends by itself.
    });
  }

  #write(): void {
    // A store that hangs must not collect writes: each of them tells everything.
    if (this.#isWriting) return;
    const entry = this.#options.entry();
    this.#written = comparable(entry);
    this.#isWriting = true;
    this.#writing = this.#options.registry.write(entry).then(
      () => {
        this.#isWriting = false;
        this.changed();
      },
      () => {
        this.#isWriting = false;
        this.#written = '';
      },
    );
  }
}

function comparable(entry: GatewayEntry): string {
  return JSON.stringify(entry, (key, value) => (key === 'leaseRemainingMs' ? undefined : value));
}
