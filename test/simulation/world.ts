import type { InstanceId } from '../../src/core/instance.ts';
import type { Policy } from '../../src/core/view/policy.ts';
import type { Random } from '../../src/simulator/random.ts';
import { seededRandom } from '../../src/simulator/random.ts';
import { keyOf } from './bindings.ts';
import type { Violation } from './checker.ts';
import { Checker } from './checker.ts';
import { Configurations } from './configurations.ts';
import { Gateway } from './gateway.ts';
import { Host } from './host.ts';
import { Instance } from './instances.ts';
import { Link } from './link.ts';
import { Peers } from './peers.ts';
import { Request } from './requests.ts';
import type { Rules } from './rules.ts';
import { RULES } from './rules.ts';
import { Scheduler } from './scheduler.ts';
import type { Store } from './store.ts';
import type { Setup, Story, StoryEvent, Variant } from './story.ts';
import { LEASE_MS } from './times.ts';

// Later events do not depend on the faults any more.
const CALM_MS = 8_500;
const SAMPLE_MS = 250;
const RESTART_MS = 200;
// Moves of agents that send no requests end after this time.
const MOVE_MS = 1_500;
// Keeps the random numbers of the network between gateways apart from the others.
const PEERS_SEED = 0x9ee2;

type EventOf<K extends StoryEvent['kind']> = Extract<StoryEvent, { kind: K }>;

/** Everything that takes part in one story. */
export class World {
  readonly scheduler = new Scheduler();
  readonly random: Random;
  readonly rules: Rules;
  readonly setup: Setup;
  readonly healed: number;
  readonly store: Store;
  readonly instances: readonly Instance[];
  readonly configurations: Configurations;
  readonly agents: readonly string[];
  readonly gateways: Gateway[] = [];
  readonly checker: Checker;
  readonly peers: Peers;
  readonly #story: Story;
  readonly #links: readonly Link[];
  /** For each replica, how its configuration differs from that of the beginning. */
  readonly #variants: (Variant | undefined)[] = [];
  readonly #open = new Set<Request>();
  #ids = 0;
  #isTouched = false;

  constructor(story: Story, rules: Rules) {
    this.rules = rules;
    this.#story = story;
    this.setup = story.setup;
    this.healed = story.healed;
    this.random = seededRandom(story.seed ^ 0x5eed);
    this.store = rules.createStore({
      onBound: (binding, fencingToken) =>
        this.#publish(({ bindings }) => {
          bindings.learn(binding, fencingToken);
        }),
      onReplaced: (binding) => this.#publish(({ bindings }) => bindings.learnRestored(binding)),
      onMoved: (from, to, view) => this.checker.onMoved(from, to, view),
      onReleased: (binding) => {
        this.checker.onReleased(binding);
        this.#publish(({ bindings }) => bindings.forget(binding));
      },
      onNews: () => this.#publish((gateway) => gateway.onNews()),
      onOpen: () => this.checker.onOpen(),
      onPending: (view, ms) => this.checker.onPending(view, ms),
      onView: (view) => this.checker.onView(view),
    });
    const { instances, agents, clocks } = this.setup;
    this.instances = Array.from({ length: instances }, (_, i) => new Instance(`i${i}`, clocks.length));
    this.agents = Array.from({ length: agents }, (_, i) => `AGENT${i}`);
    this.#links = clocks.map(
      (_, i) => new Link(this.scheduler, this.store, seededRandom(story.seed + i + 1)),
    );
    this.configurations = new Configurations(this.setup, this.instances);
    this.checker = new Checker(this);
    this.peers = new Peers(this, story.seed ^ PEERS_SEED);
  }

  run(): Violation | undefined {
    // Otherwise every story would begin with a wait for the view store to open.
    this.store.haveOpened(-LEASE_MS);
    for (let number = 0; number < this.setup.clocks.length; number += 1) {
      this.scheduler.at(number * 100, () => this.#startGateway(number));
    }
    for (const event of this.#story.events) this.scheduler.at(event.at, () => this.#happen(event));
    const end = this.healed + CALM_MS;
    for (let at = this.healed + SAMPLE_MS; at < end; at += SAMPLE_MS) {
      this.scheduler.at(at, () => this.checker.sample());
    }
    while (this.checker.violation === undefined && this.scheduler.step(end)) {
      if (!this.#isTouched) continue;
      this.#isTouched = false;
      this.checker.check();
    }
    if (this.checker.violation === undefined) this.checker.finish(this.#open);
    return this.checker.violation;
  }

  /** A change on which a target may depend. */
  touch(): void {
    this.#isTouched = true;
  }

  newId(): string {
    this.#ids += 1;
    return `v${this.#ids}`;
  }

  instance(id: InstanceId): Instance {
    return this.instances.find((instance) => instance.id === id) as Instance;
  }

  boundAgents(id: InstanceId): number {
    let count = 0;
    for (const { instance } of this.store.bindings.values()) if (instance === id) count += 1;
    return count;
  }

  /** One gateway reports a suspect instance to the others. */
  announceSuspect(from: Gateway, instance: InstanceId): void {
    for (const gateway of this.gateways) {
      if (gateway === from) continue;
      gateway.link.hear(gateway.host, () => gateway.prober.hasten(instance));
    }
  }

  #publish(deliver: (gateway: Gateway) => void): void {
    for (const gateway of this.gateways) {
      gateway.link.hear(gateway.host, () => {
        deliver(gateway);
        this.#isTouched = true;
      });
    }
  }

  #startGateway(number: number): void {
    this.#ids += 1;
    const link = this.#links[number] as Link;
    const clocks = this.setup.clocks[number] as Setup['clocks'][number];
    const gateway = new Gateway(this, {
      number,
      id: `g${number}.${this.#ids}`,
      host: new Host(this.scheduler, clocks),
      link,
      variant: this.#variants[number],
      onStoreLoss: this.setup.onStoreLoss,
    });
    this.gateways.push(gateway);
    gateway.start();
  }

  #happen(event: StoryEvent): void {
    switch (event.kind) {
      case 'request':
        this.#request(event.agent, event.replica);
        break;
      case 'store-cut':
      case 'store-lossy':
      case 'store-slow':
      case 'store-far':
      case 'store-partial':
      case 'deaf':
        (this.#links[event.replica] as Link).impair(event);
        break;
      case 'peer-cut':
      case 'peer-slow':
      case 'peer-lies':
        this.peers.impair(event);
        break;
      case 'partition':
        for (const number of this.setup.clocks.keys()) this.#cut(number, number + event.shift, event.ms);
        break;
      case 'instance-cut':
      case 'instance-restart':
      case 'instance-hang':
        this.#disturbInstance(event, this.instances[event.instance] as Instance);
        break;
      case 'link-held':
        this.#hold(event, this.instances[event.instance] as Instance);
        break;
      case 'store-clock':
        this.store.setClock(event.by);
        break;
      case 'store-hang':
      case 'store-pause':
        this.store.hangsUntil = Math.max(this.store.hangsUntil, this.scheduler.now + event.ms);
        break;
      case 'store-crash':
        this.#crashStore(event.ms, event.lost);
        break;
      case 'store-empty':
        this.#crashStore(event.ms, Number.POSITIVE_INFINITY);
        break;
      case 'busy':
        this.gateways
          .find(({ number }) => number === event.replica)
          ?.host.beLate(this.scheduler.now + event.ms, event.by);
        break;
      case 'drift':
        this.#drift(event);
        break;
      case 'stop':
      case 'suspend':
      case 'kill':
      case 'leave':
      case 'wall-jump':
        this.#disturb(event, event.replica);
        break;
      case 'forget':
        this.#forget(event);
        break;
      case 'admin':
      case 'activate':
      case 'failback':
      case 'move':
      case 'release':
        this.gateways
          .find(({ host }) => host.isRunning)
          ?.commitPolicy((policy) => this.#amend(policy, event));
    }
  }

  #disturbInstance(
    event: EventOf<'instance-cut' | 'instance-restart' | 'instance-hang'>,
    instance: Instance,
  ): void {
    const until = this.scheduler.now + event.ms;
    switch (event.kind) {
      case 'instance-cut':
        this.#cut(event.replica, event.instance, event.ms);
        break;
      case 'instance-restart':
        instance.stop();
        this.scheduler.at(until, () => instance.start());
        break;
      case 'instance-hang':
        instance.hangsUntil = Math.max(instance.hangsUntil, until);
    }
  }

  #cut(replica: number, instance: number, ms: number): void {
    const { cutUntil } = this.instances[instance % this.instances.length] as Instance;
    cutUntil[replica] = Math.max(cutUntil[replica] as number, this.scheduler.now + ms);
  }

  #hold({ ms, replica, who }: EventOf<'link-held'>, { heldUntil }: Instance): void {
    const until = this.scheduler.now + ms;
    for (const [number, before] of heldUntil.entries()) {
      if (who === 'all' || number === replica) heldUntil[number] = Math.max(before, until);
    }
  }

  #request(agent: number, replica: number): void {
    const gateway = this.gateways.find(({ number }) => number === replica);
    if (gateway === undefined) return;
    this.#ids += 1;
    const now = this.scheduler.now;
    // With separate random numbers, so that a shorter story without it changes nothing for the others.
    const random = seededRandom(this.#story.seed ^ (now * 16 + agent * 4 + replica));
    const request = new Request(this.#ids, this.agents[agent] as string, gateway, random);
    this.#open.add(request);
    gateway.host.at(now, () => request.start());
  }

  /** Tells that a request is over. */
  ended(request: Request): void {
    this.#open.delete(request);
    this.checker.onEnd(request);
  }

  #crashStore(ms: number, lost: number): void {
    if (this.store.isDown) return;
    this.store.crash(this.scheduler.now, lost);
    this.scheduler.after(ms, () => this.store.restart());
  }

  #disturb(event: EventOf<'stop' | 'suspend' | 'kill' | 'leave' | 'wall-jump'>, number: number): void {
    const gateway = this.gateways.find((candidate) => candidate.number === number);
    if (gateway === undefined) return;
    const { now } = this.scheduler;
    switch (event.kind) {
      case 'wall-jump':
        gateway.host.jump(event.by);
        gateway.host.after(this.random() * 100, () => gateway.noticeGap());
        return;
      case 'stop':
      case 'suspend':
        gateway.host.stop(now + event.ms, event.kind === 'suspend');
        // Queued messages may be handled before any check of the clock.
        gateway.host.at(now + event.ms + this.random() * 100, () => gateway.noticeGap());
        return;
      case 'leave':
      case 'kill':
        if (event.kind === 'leave') gateway.leave();
        this.#restart(gateway, event.ms);
    }
  }

  #restart(gateway: Gateway, afterMs: number): void {
    gateway.host.die();
    this.gateways.splice(this.gateways.indexOf(gateway), 1);
    this.peers.ended(gateway);
    for (const request of this.#open) if (request.gateway === gateway) this.#open.delete(request);
    this.scheduler.after(afterMs, () => this.#startGateway(gateway.number));
  }

  #drift({ at, ms, what, who, replica }: EventOf<'drift'>): void {
    const { length } = this.setup.clocks;
    if (who === 'one') {
      this.#configure(replica, what, RESTART_MS);
      this.scheduler.at(at + ms - RESTART_MS, () => this.#configure(replica, undefined, RESTART_MS));
      return;
    }
    for (let i = 0; i < length; i += 1) {
      const number = (replica + i) % length;
      if (who === 'all') this.#configure(number, what, ms);
      else
        this.scheduler.at(at + (i * (ms - RESTART_MS)) / length, () =>
          this.#configure(number, what, RESTART_MS),
        );
    }
  }

  /** A gateway that is down gets its new configuration when it starts. */
  #configure(number: number, variant: Variant | undefined, restartMs: number): void {
    this.#variants[number] = variant;
    const gateway = this.gateways.find((candidate) => candidate.number === number);
    if (gateway === undefined) return;
    gateway.leave();
    this.#restart(gateway, restartMs);
  }

  #forget({ agent, replica }: EventOf<'forget'>): void {
    const running = this.gateways.filter(({ host }) => host.isRunning);
    const gateway = running.find(({ number }) => number === replica) ?? running[0];
    if (gateway === undefined || gateway.isEarlier) return;
    this.rules.createForget(gateway, this.agents[agent] as string).start();
  }

  /** The policy after an operator's act. */
  #amend(policy: Policy, event: EventOf<'admin' | 'activate' | 'failback' | 'move' | 'release'>): Policy {
    const id = this.newId();
    const at = this.store.clockAt(this.scheduler.now);
    switch (event.kind) {
      case 'admin': {
        const act = { id, state: event.state, by: 'operator', at, why: 'story', deadline: 0 };
        return { ...policy, instances: { ...policy.instances, [`i${event.instance}`]: act } };
      }
      case 'activate':
        return { ...policy, activate: { id, instance: `i${event.instance}` } };
      case 'failback':
        return { ...policy, failback: { kind: event.how }, failbackBy: 'operator' };
      case 'release':
        return { ...policy, released: { ...policy.released, [`i${event.instance}`]: this.store.view.epoch } };
      case 'move': {
        const agent = this.agents[event.agent] as string;
        const from = this.store.bindings.get(agent)?.instance;
        const to = `i${event.instance}`;
        if (from === undefined || from === to) return policy;
        const moves = policy.moves.filter(({ key }) => key !== keyOf(agent));
        return { ...policy, moves: [...moves, { key: keyOf(agent), from, to, until: at + MOVE_MS }] };
      }
    }
  }
}

/** Runs a story, and returns the violated promise, if any. */
export function runStory(story: Story, rules: Rules = RULES): Violation | undefined {
  return new World(story, rules).run();
}
