import { FAILURES } from '../../src/core/failure.ts';
import { nextRoute } from '../../src/core/relay.ts';
import type { Target } from '../../src/core/target.ts';
import { STILL_WAITING_MS } from '../../src/proxy/relay-message.ts';
import type { Random } from '../../src/simulator/random.ts';
import { seededRandom } from '../../src/simulator/random.ts';
import type { AttemptEnds } from './attempts.ts';
import { Attempt } from './attempts.ts';
import type { Gateway } from './gateway.ts';
import type { PathFault } from './peer-connections.ts';
import { PeerConnection, PeerPath } from './peer-connections.ts';
import type { StoryEvent } from './story.ts';
import { ACCEPT_MS, CONNECT_TIMEOUT_MS, SILENT_MS } from './times.ts';
import type { World } from './world.ts';

/** A request as a gateway hands it to a peer. */
export interface Order {
  readonly id: number;
  readonly agent: string;
  readonly target: Target;
  /** The epoch of the sender's view. */
  readonly viewEpoch: number;
}

/** What a peer that does not keep to the protocol does with a request. */
const LIES = ['accepts it twice', 'answers before it accepts', 'says nothing clear', 'says another outcome'];
const JUNK = ['connect-failure', 'client-aborted', 'instance-lost', 'sent', undefined];
const SLOW_SHARE = 0.3;

/** The address at which the gateway of a replica takes requests. */
export function relayAddress(replica: number): string {
  return `g${replica}`;
}

/** The network between gateways, and the requests that they hand to each other over it. */
export class Peers {
  readonly random: Random;
  readonly #world: World;
  readonly #paths = new Map<string, PeerPath>();
  readonly #connections = new Set<PeerConnection>();
  readonly #taken = new Set<Taking>();
  /** Until when the gateway of a replica does not keep to the protocol, by the number of the replica. */
  readonly #liesUntil = new Map<number, number>();

  constructor(world: World, seed: number) {
    this.#world = world;
    this.random = seededRandom(seed);
  }

  impair(event: PathFault | Extract<StoryEvent, { kind: 'peer-lies' }>): void {
    if (event.kind === 'peer-lies') this.#liesUntil.set(event.replica, this.#world.scheduler.now + event.ms);
    else this.#path(event.replica, event.peer).impair(event);
  }

  /** Hands the request to the peer at this address. */
  hand(from: Gateway, address: string, order: Order, maySend: () => boolean, ends: AttemptEnds): void {
    this.#world.checker.onHanded(from, order.id);
    const to = this.#world.gateways.find(({ number }) => relayAddress(number) === address);
    if (to === undefined) {
      from.host.after(1, () => ends.onUnsent());
      return;
    }
    const connection = new PeerConnection(this.#path(from.number, to.number), from, to);
    this.#connections.add(connection);
    const handing = new Handing(connection, maySend, ends, () => this.#connections.delete(connection));
    handing.begin(new Taking(this, connection, order, handing));
  }

  /** The gateway's process has ended, so its kernel closes the connections. */
  ended(gateway: Gateway): void {
    for (const connection of this.#connections) {
      if (connection.from === gateway) connection.reset();
      else if (connection.to === gateway) connection.closeByPeer();
      else continue;
      if (connection.from === gateway) this.#connections.delete(connection);
    }
    for (const taking of this.#taken) if (taking.gateway === gateway) this.#taken.delete(taking);
  }

  accepted(taking: Taking): void {
    this.#taken.add(taking);
  }

  over(taking: Taking): void {
    this.#taken.delete(taking);
  }

  /** The requests that gateways have accepted for peers, and would send now. */
  *aboutToBeSent(): Generator<Taking> {
    for (const taking of this.#taken) if (taking.wouldSend()) yield taking;
  }

  /** What the gateway does against the protocol, if it does. */
  lieOf({ number }: Gateway): string | undefined {
    if ((this.#liesUntil.get(number) ?? 0) <= this.#world.scheduler.now) return undefined;
    return LIES[Math.floor(this.random() * LIES.length)];
  }

  #path(a: number, b: number): PeerPath {
    const key = a < b ? `${a} ${b}` : `${b} ${a}`;
    const known = this.#paths.get(key);
    if (known !== undefined) return known;
    const path = new PeerPath(this.#world.scheduler, this.random);
    this.#paths.set(key, path);
    return path;
  }
}

/** The sender's side of one request: `proxy/relay-client.ts` in simulated time. */
class Handing {
  readonly #connection: PeerConnection;
  readonly #maySend: () => boolean;
  readonly #ends: AttemptEnds;
  readonly #onOver: () => void;
  #taking: Taking | undefined;
  #isSent = false;
  #isOver = false;
  #timer = 0;

  constructor(connection: PeerConnection, maySend: () => boolean, ends: AttemptEnds, onOver: () => void) {
    this.#connection = connection;
    this.#maySend = maySend;
    this.#ends = ends;
    this.#onOver = onOver;
    connection.onClosed = () => this.#fail();
  }

  begin(taking: Taking): void {
    this.#taking = taking;
    this.#connection.send(() => taking.onOrder());
    this.#wait(ACCEPT_MS);
  }

  /** The peer says 100. */
  onAccepted(): void {
    if (this.#isOver || this.#isSent) return;
    this.#wait(SILENT_MS);
    if (!this.#maySend()) {
      this.#connection.reset();
      this.#end('onWithdrawn');
      return;
    }
    this.#isSent = true;
    this.#connection.send(() => this.#taking?.onBody());
  }

  /** The peer says 102. */
  onStill(): void {
    if (!this.#isOver) this.#wait(this.#isSent ? SILENT_MS : ACCEPT_MS);
  }

  onOutcome(field: string | undefined): void {
    if (this.#isOver) return;
    const outcome = this.#connection.from.rules.relaying.outcomeFromField(field);
    if (outcome === 'answered' && this.#isSent) this.#end('onAnswered');
    else if (outcome === undefined || outcome === 'answered') this.#fail();
    else if (outcome === 'unsent' || FAILURES[outcome].mayRetry) this.#end('onUnsent');
    else this.#end(this.#isSent ? 'onUnknown' : 'onUnsent');
  }

  /** The connection broke, or the peer said nothing, or something else. */
  #fail(): void {
    if (this.#isOver) return;
    const { from } = this.#connection;
    this.#connection.reset();
    this.#end(this.#isSent && !from.rules.relaying.retriesSent ? 'onUnknown' : 'onUnsent');
  }

  #wait(ms: number): void {
    this.#timer += 1;
    const timer = this.#timer;
    this.#connection.from.host.after(ms, () => {
      if (timer === this.#timer) this.#fail();
    });
  }

  #end(how: keyof AttemptEnds): void {
    this.#isOver = true;
    this.#timer += 1;
    this.#onOver();
    this.#ends[how]();
  }
}

/** The peer's side of one request: `proxy/relay-server.ts` in simulated time. */
export class Taking {
  readonly order: Order;
  readonly #peers: Peers;
  readonly #connection: PeerConnection;
  readonly #handing: Handing;
  #lie: string | undefined;
  #attempt: Attempt | undefined;
  #isOver = false;

  constructor(peers: Peers, connection: PeerConnection, order: Order, handing: Handing) {
    this.order = order;
    this.#peers = peers;
    this.#connection = connection;
    this.#handing = handing;
    connection.onReset = () => {
      this.#over();
      this.#attempt?.cancel();
    };
  }

  get gateway(): Gateway {
    return this.#connection.to;
  }

  onOrder(): void {
    this.#lie = this.#peers.lieOf(this.gateway);
    if (this.#lie === 'answers before it accepts') this.#say('answered');
    else if (this.#lie === 'says nothing clear') this.#say('sent');
    else if (this.#lie !== 'accepts it twice' && !this.#judge()) this.#say('unsent');
    else {
      this.#peers.accepted(this);
      this.#connection.answer(() => this.#handing.onAccepted());
      if (this.#lie === 'accepts it twice') this.#connection.answer(() => this.#handing.onAccepted());
    }
  }

  onBody(): void {
    if (this.#isOver || this.#attempt !== undefined) return;
    const { id, agent, target } = this.order;
    const { random } = this.#peers;
    this.#attempt = new Attempt(
      {
        gateway: this.gateway,
        id,
        agent,
        target,
        alone: false,
        isRelayed: true,
        maySend: () => this.#maySend(),
      },
      {
        onAnswered: () => this.#tell('answered'),
        onUnsent: () => this.#unsent(),
        onUnknown: () => this.#tell('instance-lost'),
        onWithdrawn: () => this.#tell('unsent'),
      },
    );
    this.#attempt.begin(1 + (random() < SLOW_SHARE ? random() * CONNECT_TIMEOUT_MS : 0));
    this.#sayThatItWaits();
  }

  /** It has been accepted, and nothing but its body or a connection is missing. */
  wouldSend(): boolean {
    return this.gateway.host.isRunning && this.#attempt?.isSent !== true && this.#maySend();
  }

  #maySend(): boolean {
    const { relaying } = this.gateway.rules;
    return !this.#isOver && (relaying.judgesOnlyAtArrival || this.#judge());
  }

  #judge(): boolean {
    const { replica, host, rules } = this.gateway;
    return rules.relaying.judgeRelayed(replica, this.order, host.mono, host.wall);
  }

  /** One hop only: the sender tries another peer. */
  #unsent(): void {
    const { gateway, order } = this;
    const route = gateway.rules.relaying.handsOn
      ? nextRoute(gateway.replica, order.target.instance, ['direct'], this.#peers.random())
      : undefined;
    if (route === undefined || route === 'direct') {
      this.#tell('unsent');
      return;
    }
    this.#peers.hand(gateway, route.peer, order, () => this.#maySend(), {
      onAnswered: () => this.#tell('answered'),
      onUnsent: () => this.#tell('unsent'),
      onUnknown: () => this.#tell('instance-lost'),
      onWithdrawn: () => this.#tell('unsent'),
    });
  }

  #tell(outcome: string): void {
    this.#over();
    const { random } = this.#peers;
    const isJunk = this.#lie === 'says another outcome';
    this.#say(isJunk ? JUNK[Math.floor(random() * JUNK.length)] : outcome);
  }

  #say(outcome: string | undefined): void {
    this.#connection.answer(() => this.#handing.onOutcome(outcome));
  }

  #sayThatItWaits(): void {
    this.gateway.host.after(STILL_WAITING_MS, () => {
      if (this.#isOver) return;
      this.#connection.answer(() => this.#handing.onStill());
      this.#sayThatItWaits();
    });
  }

  #over(): void {
    this.#isOver = true;
    this.#peers.over(this);
  }
}
