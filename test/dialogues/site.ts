import { BindingCache } from '../../src/affinity/binding-cache.ts';
import { Bindings } from '../../src/affinity/bindings.ts';
import type { Config } from '../../src/config/schema.ts';
import type { BalancerName } from '../../src/core/balancers.ts';
import { createBalancer } from '../../src/core/balancers.ts';
import type { Binding, Placement } from '../../src/core/binding.ts';
import { GatewayError } from '../../src/core/errors.ts';
import type { Name, RequestName } from '../../src/core/identity.ts';
import type {
  AffinityListener,
  AffinityStore,
  BindingQuery,
  Coordinator,
  KnownBinding,
  LogOff,
  PeekOptions,
} from '../../src/core/ports.ts';
import type { Replica } from '../../src/core/view/replica.ts';
import { EmbeddedStoreServer } from '../../src/process/ipc/embedded-store-server.ts';
import type { StoreNews } from '../../src/process/ipc/messages.ts';
import type { Identifier } from '../../src/proxy/identify.ts';
import type { Pool } from '../../src/proxy/pool.ts';
import { RequestContext } from '../../src/proxy/request-context.ts';
import { TargetFinder } from '../../src/proxy/target-finder.ts';
import { composeIdentifier } from '../../src/wiring/identifier.ts';
import { Agreement, DOWN, UP } from '../support/agreement.ts';
import type { Message } from './message.ts';

const POOL = 'ici';
const HOUR_MS = 3_600_000;
export const INSTANCES = ['a', 'b', 'c'];
export const GATEWAYS = 3;

export interface SiteOptions {
  readonly config: Pick<Config, 'identity' | 'limits'>;
  readonly store: AffinityStore;
  readonly balancer: BalancerName;
  /** The size of a gateway's cache; small, so that it evicts bindings. */
  readonly cacheEntries: number;
  readonly random: () => number;
  /** False: found names count like asserted ones, as in the first release. */
  readonly weighsNames: boolean;
}

/** Three gateways that share a store and agree on a view. */
export class Site {
  readonly agreement = new Agreement({ instances: INSTANCES, replicas: GATEWAYS });
  readonly #gateways: Gateway[];
  #down = new Set<string>();

  constructor(options: SiteOptions) {
    this.#gateways = this.agreement.replicas.map(
      (replica, i) =>
        new Gateway(options, this.agreement, replica, (news) => {
          for (const [j, gateway] of this.#gateways.entries()) if (j !== i) gateway.hear(news);
        }),
    );
  }

  /** The instance of the request; `undefined` if it is refused or would have to wait. */
  serve(gateway: number, message: Message): Promise<string | undefined> {
    return (this.#gateways[gateway] as Gateway).serve(message);
  }

  /** Empties its cache. */
  restart(gateway: number): void {
    (this.#gateways[gateway] as Gateway).begin();
  }

  get down(): ReadonlySet<string> {
    return this.#down;
  }

  /** Makes all gateways find these instances down, and the others up. */
  see(down: ReadonlySet<string>): void {
    this.#down = new Set(down);
    this.agreement.agreeOn(Object.fromEntries(INSTANCES.map((id) => [id, down.has(id) ? DOWN : UP])));
  }
}

class Gateway {
  readonly #options: SiteOptions;
  readonly #replica: Replica;
  readonly #identifier: Identifier;
  readonly #targets: TargetFinder;
  readonly #store: SharedStore;
  #pool: Pool;
  #requests = 0;

  constructor(options: SiteOptions, agreement: Agreement, replica: Replica, tell: (news: StoreNews) => void) {
    this.#options = options;
    this.#replica = replica;
    this.#identifier = composeIdentifier(options.config);
    const sync = async (): Promise<void> => agreement.sync(replica);
    this.#targets = new TargetFinder({
      suspect: () => {},
      renew: sync,
      storeFailed: sync,
    } as Partial<Coordinator> as Coordinator);
    this.#store = new SharedStore(options, agreement, tell);
    this.#pool = this.#newPool();
  }

  begin(): void {
    this.#pool = this.#newPool();
  }

  hear(news: StoreNews): void {
    this.#store.hear(news);
  }

  async serve({ rawHeaders, body }: Message): Promise<string | undefined> {
    const bytes = Buffer.from(body);
    const headers: Record<string, string> = {};
    for (let at = 0; at < rawHeaders.length; at += 2)
      headers[rawHeaders[at] as string] = rawHeaders[at + 1] as string;
    this.#requests += 1;
    const context = Object.assign(Object.create(RequestContext.prototype), {
      request: { id: `r${this.#requests}`, raw: { headers, rawHeaders } },
      body: { head: bytes, complete: true, collect: async () => {} },
      userIsFound: false,
      sessionIsFound: false,
      decision: 'refused',
      sessionLost: false,
      epoch: 0,
    }) as RequestContext;
    try {
      this.#identifier.check(context, this.#identifier.readHeader(context));
      await this.#identifier.identify(context, this.#pool, (pool, one) =>
        this.#targets.isKnownBySession(pool, one),
      );
    } catch (error) {
      if (error instanceof GatewayError) return undefined;
      throw error;
    }
    const target = await this.#targets.find(this.#pool, context);
    return 'wait' in target ? undefined : target.instance;
  }

  #newPool(): Pool {
    const { cacheEntries, balancer, random } = this.#options;
    const bindings = new Bindings({
      store: this.#store,
      gateway: 'site',
      cache: new BindingCache({ maxEntries: cacheEntries, idleLifetimeMs: HOUR_MS }),
      sessionsAreProvisional: true,
      epoch: () => this.#replica.agreed.epoch,
      events: {
        onConflict: () => {},
        onShared: () => {},
        onReplaced: () => {},
        onRebound: () => {},
        onOperation: () => {},
      },
    });
    const pool: Partial<Pool> = {
      name: POOL,
      mode: 'sticky',
      bindsAgents: true,
      anonymous: 'any',
      sessionLost: 'pass',
      balancer: createBalancer(balancer, random),
      balancerName: balancer,
      maxAgents: new Map(),
      anonymousBalancer: createBalancer('round-robin'),
      load: { inFlight: () => 0, boundAgents: () => Math.floor(random() * 10) },
      bindings,
      routingState: this.#replica,
    };
    return pool as Pool;
  }
}

/** The store of one process that shares it with others: each gets news of the others' changes. */
class SharedStore implements AffinityStore {
  readonly #server: EmbeddedStoreServer;
  readonly #weighsNames: boolean;
  #listener: AffinityListener | undefined;

  constructor({ store, weighsNames }: SiteOptions, agreement: Agreement, tell: (news: StoreNews) => void) {
    this.#weighsNames = weighsNames;
    const pool = {
      store,
      fencingToken: () => agreement.fencingToken,
      epoch: () => agreement.replicas[0]?.agreed.epoch ?? 0,
    };
    this.#server = new EmbeddedStoreServer(new Map([[POOL, pool]]), (_pool, news) => tell(news));
  }

  claim(
    names: readonly RequestName[],
    proposal: Placement,
    fencingToken: string,
    oldest?: Name,
    leaves?: readonly string[],
  ) {
    const borne = this.#weighsNames ? names : names.map(({ kind, value }) => ({ kind, value }));
    return this.#server.storeClaim(POOL, borne, proposal, fencingToken, oldest, leaves);
  }

  rebind(expected: Binding, proposal: Placement, fencingToken: string) {
    return this.#server.storeRebind(POOL, expected, proposal, fencingToken);
  }

  find(names: readonly Name[]) {
    return this.#server.storeFind(POOL, names);
  }

  peek(names: readonly RequestName[], options?: PeekOptions) {
    const borne = this.#weighsNames ? names : names.map(({ kind, value }) => ({ kind, value }));
    return this.#server.storePeek(POOL, borne, options);
  }

  renew(names: readonly Name[], seenAgoMs?: number) {
    return this.#server.storeRenew(POOL, names, seenAgoMs);
  }

  release(expected: Binding, fencingToken: string) {
    return this.#server.storeRelease(POOL, expected, fencingToken);
  }

  logOff(expected: Binding, logOff: LogOff) {
    return this.#server.storeLogOff(POOL, expected, logOff);
  }

  restore(entries: readonly KnownBinding[]) {
    return this.#server.storeRestore(POOL, entries);
  }

  counts() {
    return this.#server.storeCounts(POOL);
  }

  groups() {
    return this.#server.storeGroups(POOL);
  }

  list(query: BindingQuery) {
    return this.#server.storeList(POOL, query);
  }

  listen(listener: AffinityListener): void {
    this.#listener = listener;
    listener.onGap();
  }

  hear({ bound, moved, loggedOff }: StoreNews): void {
    if (loggedOff !== undefined) this.#listener?.onLoggedOff(moved[0] as Name, loggedOff);
    else if (moved.length > 0) this.#listener?.onMoved(moved);
    if (bound !== undefined)
      this.#listener?.onBound(bound.binding, bound.aliases, bound.epoch, bound.isNew === true);
  }

  async close(): Promise<void> {}
}
