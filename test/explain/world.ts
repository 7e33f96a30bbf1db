import { BindingCache } from '../../src/affinity/binding-cache.ts';
import { Bindings } from '../../src/affinity/bindings.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';
import type { CachedBinding } from '../../src/core/agent-bindings.ts';
import { AgentGroups } from '../../src/core/agent-groups.ts';
import type { BalancerName } from '../../src/core/balancers.ts';
import { createBalancer } from '../../src/core/balancers.ts';
import { GatewayError } from '../../src/core/errors.ts';
import type { InstanceState } from '../../src/core/instance.ts';
import type { Coordinator } from '../../src/core/ports.ts';
import { StatePages } from '../../src/core/state-page.ts';
import { storedKey } from '../../src/core/stored-name.ts';
import type { Mode, RoutingState } from '../../src/core/view/routing-state.ts';
import type { View } from '../../src/core/view/view.ts';
import { makeView } from '../../src/core/view/view.ts';
import { Admission, PoolTable } from '../../src/proxy/admission.ts';
import { AgentOperations, OperationList } from '../../src/proxy/agent-operations.ts';
import { Explainer } from '../../src/proxy/explain.ts';
import { ExplainedRequest } from '../../src/proxy/explained-request.ts';
import type { Identifier } from '../../src/proxy/identify.ts';
import { logonMayMove } from '../../src/proxy/placing.ts';
import type { Pool } from '../../src/proxy/pool.ts';
import { ArrivingBytes, RequestBody } from '../../src/proxy/request-body.ts';
import { readRequestText } from '../../src/proxy/request-text.ts';
import { mustReportLoss } from '../../src/proxy/session-lost.ts';
import { errorAfterWait, TargetFinder } from '../../src/proxy/target-finder.ts';
import { TrustedProxies } from '../../src/proxy/trusted-proxies.ts';
import type { Upstream } from '../../src/proxy/upstream.ts';
import { composeIdentifier, explainedNaming } from '../../src/wiring/identifier.ts';
import type { Random } from '../dialogues/random.ts';
import { anInstance } from '../support/instances.ts';
import { ModelStore } from './model-store.ts';

type Cached = CachedBinding & { readonly raw?: unknown };

/** What became of a request. */
export interface Outcome {
  readonly instance?: string;
  readonly decision?: string;
  readonly waitsFor?: string;
  readonly error?: string;
  readonly isOwn?: true;
  readonly otherPool?: true;
}

const IDS = ['a', 'b', 'c'];
const EVENTS = { onConflict() {}, onShared() {}, onReplaced() {}, onRebound() {}, onOperation() {} };
const BALANCERS: readonly BalancerName[] = [
  'rendezvous',
  'rendezvous',
  'least-bound',
  'round-robin',
  'random',
];
const NO_COORDINATOR: Coordinator = {
  routingState: () => {
    throw new Error('not asked');
  },
  onChange: () => () => {},
  suspect: () => {},
  renew: async () => {},
  storeFailed: async () => {},
};

const configOf = (identity: string): Config =>
  loadConfig({
    text: `pools: [{ name: ici, mode: sticky, health: { path: /h }, instances: [{ id: a, url: 'http://127.0.0.1:1' }] }]\n${identity}`,
    env: {},
  }).config;
/** The ways in which a gateway may look for names. */
const CONFIGS = [
  configOf(''),
  configOf('identity: { order: [body, header, cookie] }'),
  configOf('identity: { logon: [login] }'),
  configOf('identity: { order: [header, cookie], userPattern: { header: "[A-Z]+" } }'),
];

/** One worker with its pool in any state, and requests of any kind. */
export class World {
  readonly store: ModelStore;
  readonly bindings: Bindings;
  readonly #cache = new BindingCache({ maxEntries: 100, idleLifetimeMs: 3_600_000 });
  readonly pool: Pool;
  readonly explainer: Explainer;
  readonly #random: Random;
  readonly #identifier: Identifier;
  readonly #admission: Admission;
  readonly #targets = new TargetFinder(NO_COORDINATOR);
  readonly #trusted = new TrustedProxies(['10.0.0.0/8']);
  readonly #limits = { headerBytes: 16_384, headers: 20 };

  constructor(random: Random) {
    this.#random = random;
    this.store = new ModelStore(random.chance(0.15) ? random.below(5) : undefined);
    const config = random.of(CONFIGS);
    const groups = random.chance(0.2)
      ? new AgentGroups({
          file: undefined,
          patterns: [{ users: /^[AB]/, group: 'sales' }],
          header: random.chance(0.5) ? 'x-group' : undefined,
        })
      : undefined;
    this.bindings = new Bindings({
      store: this.store,
      gateway: 'gw',
      cache: this.#cache,
      sessionsAreProvisional: random.chance(0.7),
      epoch: () => 1,
      groups,
      events: EVENTS,
    });
    this.pool = this.#newPool(config, groups);
    const other = { ...this.pool, name: 'other' };
    const table = new PoolTable<Pool>([
      { match: { hosts: [], paths: ['/ici'] }, pool: this.pool },
      { match: { hosts: ['other.example'], paths: ['/'] }, pool: other },
    ]);
    this.#identifier = composeIdentifier(config);
    this.#admission = new Admission({
      pools: table,
      statePages: new StatePages(config.statePage),
      gatewayState: { state: () => 'Running', inMaintenance: random.chance(0.02) } as never,
      maxInFlight: 100,
      shares: { hasTenth: () => false },
      refusesUntrusted: random.chance(0.1),
      via: 'gw',
    });
    this.explainer = new Explainer({
      pools: [this.pool, other],
      table,
      admission: this.#admission,
      identifier: this.#identifier,
      naming: explainedNaming(config),
      trustedProxies: this.#trusted,
      explained: () => this.bindings.explained(),
      inFlight: () => 0,
      limits: this.#limits,
      maxBodyBytes: 2_000,
      heldBytes: 1_000,
      parkMs: 1_000,
    });
  }

  /** What the router does with the request: the steps of `ProxyHandler`, up to the first byte that is sent. */
  async serve(text: string, from: string): Promise<Outcome> {
    const { pool } = this;
    const read = await readRequestText(text, this.#limits);
    if ('error' in read) return { error: read.error };
    const { raw, isHttp, close } = read;
    const context = new ExplainedRequest(raw, from, this.#trusted, { isHttp, headers: this.#limits.headers });
    try {
      const names = this.#identifier.readHeader(context);
      const { pool: found, framing } = this.#admission.admit(context, 1);
      if (found === undefined) return { isOwn: true };
      if (found !== pool) return { otherPool: true };
      pool.lastRequestAt = performance.now();
      this.#identifier.check(context, names);
      const { contentLength, chunked } = framing;
      const arriving = new ArrivingBytes(1e9, () => {});
      context.body = new RequestBody(raw, contentLength, chunked, 2_000, arriving);
      if (context.body.mayFit(1_000)) await context.body.collect(1_000);
      await this.#identifier.identify(context, pool, (at, one) => this.#targets.isKnownBySession(at, one));
      if (context.isLogon === undefined && pool.operations.haveLogon && logonMayMove(pool, context))
        context.isLogon = await pool.operations.isLogon(context);
      const target = await this.#targets.find(pool, context);
      if (context.sessionLost && (await mustReportLoss(context, pool))) return { error: 'GW_SESSION_LOST' };
      if ('wait' in target)
        return { waitsFor: target.wait, error: errorAfterWait(target, pool.routingState) };
      return { instance: target.instance, decision: context.decision };
    } catch (error) {
      if (error instanceof GatewayError) return { error: error.code };
      throw error;
    } finally {
      close();
    }
  }

  /** Everything that an explanation must leave as it is. */
  snapshot(): string {
    const { model } = this.store;
    return JSON.stringify([
      [...model.roots],
      [...model.pointers],
      [...model.found],
      [...model.former],
      [...model.shared],
      [...model.loggedOff],
      [...model.newcomers],
      model.seen.length,
      this.pool.lastRequestAt,
      [...this.#cache.entries()].map(([key, { names, raw: _raw, ...entry }]: [string, Cached]) => [
        key,
        names,
        entry,
      ]),
    ]);
  }

  /** Requests that change what store and cache know, in views of which the last one is another. */
  async live(): Promise<void> {
    const random = this.#random;
    for (let i = random.below(7); i > 0; i -= 1) {
      this.#setState('leased');
      this.store.isAway = false;
      await this.serve(this.request(), '10.1.1.1');
      const bound = [...this.store.model.roots.values()];
      if (bound.length > 0 && random.chance(0.15)) this.store.model.logOff(random.of(bound));
      if (bound.length > 0 && random.chance(0.1)) this.store.model.release(random.of(bound));
    }
    // Renewals in the background.
    await new Promise((resolve) => setImmediate(resolve));
    for (const [, entry] of this.#cache.entries()) if (random.chance(0.2)) this.bindings.invalidate(entry);
    // Before the state is set: a worker that has decided alone writes that back before it asks the store.
    this.#setState(undefined);
    this.store.isAway = random.chance(0.1);
  }

  request(): string {
    const random = this.#random;
    if (random.chance(0.02)) return 'OPTIONS * HTTP/1.1\nhost: gw\n\n';
    const lines: string[] = [
      `POST ${random.of(['/ici', '/ici/x?sid=1', '/ici/y', '/none', '/healthcheck'])} HTTP/1.1`,
    ];
    lines.push(`host: ${random.of(['gw', 'gw', 'gw:8080', 'other.example'])}`);
    const user = random.of(['A', 'b', 'C', 'D', 'A', ' B ', '', 'M\u00dcLLER']);
    if (random.chance(0.6)) lines.push(`soapuser: ${user}`);
    if (random.chance(0.03)) lines.push('SOAPUSER: TWICE');
    if (random.chance(0.5))
      lines.push(`cookie: x=1; WS_SESSION_ID=${random.of(['s1', 's2', 's3', 's1', ''])}`);
    if (random.chance(0.03)) lines.push('cookie: WS_SESSION_ID=s9');
    if (random.chance(0.1)) lines.push(`x-group: ${random.of(['sales', 'service'])}`);
    if (random.chance(0.03)) lines.push('x-forwarded-for: 192.0.2.7');
    if (random.chance(0.02)) lines.push('connection: soapuser');
    if (random.chance(0.02)) lines.push('transfer-encoding: gzip');
    lines.push('content-type: text/xml', '', random.chance(0.4) ? this.#envelope() : '');
    return lines.join('\n');
  }

  #envelope(): string {
    const random = this.#random;
    const operation = random.of(['login', 'getParts', 'logout']);
    const inside = [
      random.chance(0.6) ? `<userId>${random.of(['A', 'b', 'E', '*', '+49 1', 'a;b'])}</userId>` : '',
      random.chance(0.5) ? `<sessionId>${random.of(['s1', 's2', 's4'])}</sessionId>` : '',
    ].join('');
    const xml = `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><${operation}>${inside}</${operation}></s:Body></s:Envelope>`;
    return random.chance(0.05) ? xml.slice(0, 60) : xml;
  }

  #newPool(config: Config, groups: AgentGroups | undefined): Pool {
    const random = this.#random;
    const balancerName = random.of(BALANCERS);
    const mode = random.chance(0.8) ? 'sticky' : 'failover';
    const sessionLost = random.of(['pass', 'fault'] as const);
    const list = (operations: readonly string[]): OperationList =>
      new OperationList(
        operations.map((operation) => ({ operation })),
        { match: 'exact', maxBytes: 1_000, maxDepth: 6 },
      );
    const bound = new Map(IDS.map((id) => [id, random.below(5)]));
    const pool: Partial<Pool> = {
      name: 'ici',
      mode,
      anonymous: random.of(['any', 'address', 'refuse'] as const),
      sessionLost,
      bindsAgents: mode === 'sticky' || sessionLost === 'fault',
      operations: new AgentOperations({
        logon: list(config.identity.logon.map(({ operation }) => operation)),
        logoff: list(['logout']),
        maxBytes: 1_000,
      }),
      logoffGraceMs: 10_000,
      balancer: createBalancer(balancerName, () => random.next()),
      balancerName,
      anonymousBalancer: createBalancer('round-robin'),
      load: { boundAgents: (id) => bound.get(id) ?? 0, inFlight: () => 0 },
      groups,
      maxAgents: random.chance(0.2) ? new Map([['a', 2]]) : new Map(),
      bindings: this.bindings,
      upstreams: new Map(IDS.map((id) => [id, { hasPlaceFor: () => true } as unknown as Upstream])),
      routingState: this.#state('leased', mode),
      changes: 0,
      lastRequestAt: 0,
    };
    return pool as Pool;
  }

  /** @param mode any if it is not given */
  #setState(mode: Mode | undefined): void {
    Object.assign(this.pool.routingState, this.#state(mode, this.pool.mode));
  }

  #state(given: Mode | undefined, poolMode: Pool['mode']): RoutingState {
    const random = this.#random;
    const isLast = given === undefined;
    const mode = given ?? random.of(['leased', 'leased', 'leased', 'leased', 'waiting', 'degraded'] as const);
    const view = this.#view(poolMode, isLast);
    const unreachable = new Set(IDS.filter(() => random.chance(0.08)));
    return {
      view,
      before: isLast && random.chance(0.1) ? this.#view(poolMode, false) : undefined,
      isBlocked: isLast && random.chance(0.03),
      fencingToken: isLast && random.chance(0.1) ? random.of(['', '0.old:g']) : this.store.fencingToken,
      unreachable,
      candidates: view.assignable.filter(({ id }) => !unreachable.has(id)),
      cutOff: new Set([...unreachable].filter(() => random.chance(0.5))),
      failing: new Set(),
      leaseEnd: { mono: 1e12, wall: 1e15 },
      unconfigured: new Set(IDS.filter(() => random.chance(0.03))),
      claimFailure: isLast && random.chance(0.05) ? 'time-outs' : undefined,
      placesAlone: mode === 'degraded' && random.chance(0.8),
      hearsStore: mode === 'degraded' && random.chance(0.2),
      placesAlike: random.chance(0.2),
      modeAt: () => mode,
    };
  }

  #view(mode: Pool['mode'], isLast: boolean): View {
    const random = this.#random;
    const instances = IDS.map(
      (id): InstanceState =>
        anInstance({
          id,
          weight: random.of([1, 1, 2, 0]),
          admin: random.of(['enabled', 'enabled', 'enabled', 'draining', 'disabled'] as const),
          health: random.of(['up', 'up', 'up', 'down'] as const),
          incarnation: random.of(['', '1', '1', '2']),
          quarantined: random.chance(0.1),
          lostAt: random.below(3),
        }),
    );
    const moved = random.of(['A', 'B', 'C']);
    const key = storedKey({ kind: 'user', value: moved });
    const fit = isLast && random.chance(0.04) ? random.of(['differs', 'unknown'] as const) : undefined;
    return makeView({
      pool: 'ici',
      mode,
      epoch: 1 + random.below(4),
      settled: !isLast || random.chance(0.97),
      instances,
      active: random.of(['a', 'b', 'c', '']),
      moving: new Map(random.chance(0.1) ? [[key, random.of(['a', 'b', ''])]] : []),
      ...(fit === undefined ? {} : { fit }),
    });
  }
}
