import { setImmediate as turn } from 'node:timers/promises';
import { ActRefused } from '../core/act-refused.ts';
import type { ErrorCode } from '../core/errors.ts';
import { GatewayError } from '../core/errors.ts';
import type { ExplainableBindings } from '../core/explainable-bindings.ts';
import type {
  ExplainedDecision,
  ExplainedOutcome,
  ExplainQuestion,
  ExplainStep,
  Explanation,
} from '../core/explanation.ts';
import { networkOf } from '../core/network.ts';
import type { Coordinator } from '../core/ports.ts';
import { StoreUnavailable } from '../core/ports.ts';
import { canonicalUser } from '../core/user-name.ts';
import type { HeaderIdentity } from '../identity/header-identity.ts';
import type { Admission, PoolTable } from './admission.ts';
import { admissionSteps, bodySteps, headerSteps, namesOfRequest, textOfRefusal } from './explain-names.ts';
import { routeSteps } from './explain-route.ts';
import type { ExplainedNaming, Found } from './explained-request.ts';
import { bareRequest, ExplainedRequest } from './explained-request.ts';
import type { Identifier } from './identify.ts';
import { logonMayMove } from './placing.ts';
import type { Pool } from './pool.ts';
import { ArrivingBytes, RequestBody } from './request-body.ts';
import type { RequestTextLimits } from './request-text.ts';
import { readRequestText } from './request-text.ts';
import { mustReportLoss } from './session-lost.ts';
import type { Wait } from './target-finder.ts';
import { errorAfterWait, TargetFinder } from './target-finder.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

export interface ExplainerOptions {
  readonly pools: readonly Pool[];
  readonly table: PoolTable<Pool>;
  readonly admission: Pick<Admission, 'admit'>;
  readonly identifier: Identifier;
  readonly naming: ExplainedNaming;
  readonly trustedProxies: TrustedProxies;
  /** Bindings of the pool by which nothing is changed. */
  readonly explained: (pool: Pool) => ExplainableBindings;
  /** The requests in the gateway. */
  readonly inFlight: () => number;
  readonly limits: RequestTextLimits;
  readonly maxBodyBytes: number;
  readonly heldBytes: number;
  readonly parkMs: number;
}

// Less than the controller waits for a worker.
const MOST_MS = 3_000;
// More than nearly all pools have instances. A choice takes a tenth of a millisecond.
const CHOICES_EACH_TURN = 16;

/** Nothing is reported to it, because no request has failed. */
const SILENT: Coordinator = {
  routingState: () => {
    throw new Error('an explained request brings its routing state');
  },
  onChange: () => () => {},
  suspect: () => {},
  renew: async () => {},
  storeFailed: async () => {},
};

/**
 * Says how this worker would route a request now. It runs the code that routes requests, on bindings by which nothing
 * can be changed. Nothing is sent, bound, renewed or logged.
 */
export class Explainer {
  readonly #options: ExplainerOptions;
  readonly #targets = new TargetFinder(SILENT);

  constructor(options: ExplainerOptions) {
    this.#options = options;
  }

  /**
   * @throws ActRefused if this worker has no such pool
   * @throws StoreUnavailable if the store answers too slowly
   */
  async explain(question: ExplainQuestion): Promise<Explanation> {
    const pool = this.#options.pools.find(({ name }) => name === question.pool);
    // Its configuration may be older than that of the controller.
    if (pool === undefined) throw new ActRefused(409, `this worker has no pool named ${question.pool}`);
    if (question.request !== undefined) return this.#explainText(pool, question.request, question.from);
    if (question.headers !== undefined) return this.#explainHeaders(pool, question.headers, question.from);
    return this.#explainNames(pool, question);
  }

  /** Explains a request of which only the names are given. */
  async #explainNames(pool: Pool, { user, session, from = '' }: ExplainQuestion): Promise<Explanation> {
    const request = new ExplainedRequest(bareRequest([]), from, this.#options.trustedProxies);
    request.user = user === undefined ? undefined : canonicalUser(user);
    request.session = session;
    if (user !== undefined && request.user === undefined)
      return this.#refused(pool, request, [], new GatewayError('GW_IDENTITY_UNUSABLE'));
    await this.#options.identifier.identify(request, pool, () => true);
    return this.#route(pool, request, [], 'asked');
  }

  async #explainHeaders(pool: Pool, lines: readonly string[], from = ''): Promise<Explanation> {
    const fields = lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()] as const;
    });
    const request = new ExplainedRequest(bareRequest(fields), from, this.#options.trustedProxies);
    const steps: ExplainStep[] = [];
    const names = this.#options.identifier.readHeader(request);
    return this.#identify(pool, request, names, steps);
  }

  async #explainText(pool: Pool, text: string, from = ''): Promise<Explanation> {
    const { limits, trustedProxies, identifier, admission, table, inFlight } = this.#options;
    const read = await readRequestText(text, limits);
    const steps: ExplainStep[] = [];
    if ('error' in read) {
      const request = new ExplainedRequest(bareRequest([]), from, trustedProxies);
      return this.#refused(pool, request, steps, new GatewayError(read.error));
    }
    const { raw, isHttp, close } = read;
    const request = new ExplainedRequest(raw, from, trustedProxies, { isHttp, headers: limits.headers });
    try {
      const names = identifier.readHeader(request);
      const { pool: found, framing } = admission.admit(request, inFlight() + 1);
      if (found === undefined) return this.#answered(pool, request, steps);
      steps.push(...admissionSteps(request, table, found));
      if (found !== pool)
        return this.#finished(pool, request, steps, 'other-pool', `The request is for pool ${found.name}.`);
      const { contentLength, chunked } = framing;
      const { maxBodyBytes, heldBytes } = this.#options;
      request.body = new RequestBody(raw, contentLength, chunked, maxBodyBytes, unlimited());
      if (request.body.mayFit(heldBytes)) await request.body.collect(heldBytes);
      return await this.#identify(found, request, names, steps);
    } catch (error) {
      const refusal = raw.complete ? error : new GatewayError('GW_REQUEST_MALFORMED', error);
      if (!(refusal instanceof GatewayError)) throw refusal;
      if (steps.length === 0) steps.push(...admissionSteps(request, table, request.pool));
      return this.#refused(pool, request, steps, error instanceof GatewayError ? error : refusal);
    } finally {
      close();
    }
  }

  async #identify(
    pool: Pool,
    request: ExplainedRequest,
    names: HeaderIdentity,
    steps: ExplainStep[],
  ): Promise<Explanation> {
    const { identifier, naming } = this.#options;
    const bindings = this.#options.explained(pool);
    const dry = { ...pool, bindings };
    steps.push(...headerSteps(names, naming));
    try {
      identifier.check(request, names);
      await identifier.identify(request, dry, (at, one) => this.#targets.isKnownBySession(at, one));
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      steps.push(...bodySteps(request, pool, naming));
      return this.#refused(pool, request, steps, error);
    }
    steps.push(...bodySteps(request, pool, naming));
    return this.#route(pool, request, steps, undefined);
  }

  async #route(
    pool: Pool,
    asked: ExplainedRequest,
    steps: ExplainStep[],
    source: 'asked' | undefined,
  ): Promise<Explanation> {
    const found = await this.#find(pool, asked);
    const { target, oneOf, otherErrors, request } = found;
    // As the router leaves them: it goes on without a session that names no agent.
    const names = namesOfRequest(request, source);
    steps.push(...routeSteps(pool, found));
    const epoch = pool.routingState.view.epoch;
    const common = { names, epoch, steps, oneOf, otherErrors };
    const unless =
      oneOf.length > 0 && !('instance' in target)
        ? ` If the balancer chooses ${oneOf.join(' or ')}, it goes there at once.`
        : '';
    if (target instanceof GatewayError) {
      const refused = this.#refused(pool, request, steps, target);
      return { ...refused, ...common, sentence: `${refused.sentence}${unless}` };
    }
    const agent = names[0] === undefined ? 'The request' : agentOf(names[0]);
    if ('wait' in target) {
      const error = errorAfterWait(target, pool.routingState);
      const sentence = `${agent} waits for ${WAITS[target.wait]}, for at most ${this.#options.parkMs / 1_000} s, and then gets ${error}.${unless}`;
      const waiting = this.#finished(pool, request, steps, 'wait', sentence, error);
      return { ...waiting, waitsFor: target.wait, ...common };
    }
    const decision = request.decision as ExplainedDecision;
    const place = oneOf.length === 0 ? target.instance : undefined;
    const to = place ?? `one of ${oneOf.join(', ')}`;
    const isFull =
      place !== undefined && pool.upstreams.get(place)?.hasPlaceFor(networkOfClient(request)) === false;
    const queue = isFull
      ? ' It waits for a place there, because the instance has its maximum of requests.'
      : '';
    return {
      ...this.#finished(
        pool,
        request,
        steps,
        isFull ? 'queue' : 'forward',
        `${agent} goes to ${to}: ${DECISIONS[decision]}.${queue}`,
      ),
      decision,
      instance: place ?? null,
      incarnation: place === undefined || target.incarnation === '' ? null : target.incarnation,
      ...common,
    };
  }

  /**
   * How the router would decide about the request, whose names are known. Where the balancer's choice cannot be told
   * before, each of its choices is tried.
   */
  async #find(pool: Pool, request: ExplainedRequest): Promise<Found> {
    const tried: Found[] = [];
    const first = this.#options.explained(pool);
    const until = performance.now() + MOST_MS;
    // The body is searched once, whatever the choice is.
    let searching: Promise<boolean> | undefined;
    const isLogon = (): Promise<boolean> => {
      searching ??= pool.operations.isLogon(request);
      return searching;
    };
    let choices = 1;
    for (let choice = 0; choice < choices; choice += 1) {
      if (performance.now() > until)
        throw new StoreUnavailable('it answers too slowly to explain the request');
      // Requests have their turn meanwhile.
      if (choice % CHOICES_EACH_TURN === CHOICES_EACH_TURN - 1) await turn();
      const bindings = first.again();
      // Another request may come before this one, and chance decides for `random`.
      const unknown: Pool['balancer'] = (candidates) => {
        choices = Math.max(choices, candidates.length);
        return candidates[choice] ?? candidates[0];
      };
      const isKnown = pool.balancerName === 'rendezvous' || pool.balancerName === 'least-bound';
      const balancer = isKnown ? pool.balancer : unknown;
      const dry: Pool = { ...pool, bindings, balancer, anonymousBalancer: unknown };
      const copy = request.copy();
      tried.push({
        request: copy,
        bindings,
        target: await this.#targetIn(dry, copy, isLogon),
        oneOf: [],
        otherErrors: [],
      });
    }
    const places = new Set(tried.flatMap(({ target }) => ('instance' in target ? [target.instance] : [])));
    const other = tried.find(({ target }) => !('instance' in target));
    const found = other ?? (tried[0] as Found);
    const errors = new Set(tried.flatMap(({ target }) => errorOf(target, pool) ?? []));
    errors.delete(errorOf(found.target, pool) as ErrorCode);
    const oneOf = places.size > 1 || other !== undefined ? [...places] : [];
    return { ...found, oneOf, otherErrors: [...errors] };
  }

  async #targetIn(
    dry: Pool,
    request: ExplainedRequest,
    isLogon: () => Promise<boolean>,
  ): Promise<Found['target']> {
    try {
      const { operations, sessionLost } = dry;
      if (request.isLogon === undefined && operations.haveLogon && logonMayMove(dry, request))
        request.isLogon = await isLogon();
      const target = await this.#targets.find(dry, request);
      const isTold =
        request.sessionLost && (await mustReportLoss(request, { sessionLost, operations: { isLogon } }));
      return isTold ? new GatewayError('GW_SESSION_LOST') : target;
    } catch (error) {
      if (error instanceof GatewayError) return error;
      throw error;
    }
  }

  #answered(pool: Pool, request: ExplainedRequest, steps: ExplainStep[]): Explanation {
    const what = request.isStatePoll ? 'with its state page' : 'what it asks about the gateway itself';
    steps.push({
      part: 'request',
      applies: true,
      rule: 'requests about the gateway itself',
      found: request.path,
    });
    return this.#finished(pool, request, steps, 'answer', `The gateway answers ${what}.`);
  }

  #refused(pool: Pool, request: ExplainedRequest, steps: ExplainStep[], { code }: GatewayError): Explanation {
    return this.#finished(pool, request, steps, 'refuse', textOfRefusal(code), code);
  }

  #finished(
    pool: Pool,
    request: ExplainedRequest,
    steps: readonly ExplainStep[],
    outcome: ExplainedOutcome,
    sentence: string,
    error: ErrorCode | null = null,
  ): Explanation {
    return {
      pool: pool.name,
      outcome,
      sentence,
      decision: null,
      instance: null,
      incarnation: null,
      oneOf: [],
      otherErrors: [],
      waitsFor: null,
      error,
      names: namesOfRequest(request, undefined),
      epoch: pool.routingState.view.epoch,
      steps,
    };
  }
}

function errorOf(target: Found['target'], { routingState }: Pool): ErrorCode | undefined {
  if (target instanceof GatewayError) return target.code;
  return 'wait' in target ? errorAfterWait(target, routingState) : undefined;
}

const WAITS: Readonly<Record<Wait['wait'], string>> = {
  starting: 'the first probes of all instances',
  'no-instance': 'an instance that may take it',
  view: 'the new view to take effect',
  lease: 'a lease of the view store',
  store: 'the affinity store',
};

const DECISIONS: Readonly<Record<ExplainedDecision, string>> = {
  bound: 'the agent is bound there',
  claimed: 'the agent is new and is bound there',
  rebound: 'the instance before has lost the agent, who is bound there now and must log on again',
  storeless: 'the store is away, so this gateway places the agent alone',
  anonymous: 'the request names no agent, so requests take turns',
};

function agentOf({ kind, value }: { readonly kind: string; readonly value: string }): string {
  return kind === 'user' ? value : `The agent with the ${kind} ${value}`;
}

function networkOfClient({ client, connection }: ExplainedRequest): string {
  return networkOf(client ?? connection.peer);
}

function unlimited(): ArrivingBytes {
  return new ArrivingBytes(Number.POSITIVE_INFINITY, () => {});
}
