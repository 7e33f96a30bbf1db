import type { InstanceId } from '../../src/core/instance.ts';

// So that no incarnation of another connector looks like one of this.
const ELSEWHERE_INCARNATION = 1_001;

/** A simulated connector instance: whether it runs, its incarnation, and which replicas can reach it. */
export class Instance {
  readonly id: InstanceId;
  incarnation = 1;
  isUp = true;
  hangsUntil = 0;
  /** Agents that it has served in this incarnation. */
  readonly sessions = new Set<string>();
  /** The time until which a replica cannot reach it, by the replica's number. */
  readonly cutUntil: number[];
  /** The time until which the network holds the requests of a replica, by the replica's number. */
  readonly heldUntil: number[];

  constructor(id: InstanceId, replicas: number) {
    this.id = id;
    this.cutUntil = Array.from({ length: replicas }, () => 0);
    this.heldUntil = Array.from({ length: replicas }, () => 0);
  }

  stop(): void {
    this.isUp = false;
    this.sessions.clear();
  }

  start(): void {
    if (this.isUp) return;
    this.isUp = true;
    this.incarnation += 1;
  }

  /** The connector of a gateway that has another URL under the same name. */
  static elsewhere(id: InstanceId, replicas: number): Instance {
    const instance = new Instance(id, replicas);
    instance.incarnation = ELSEWHERE_INCARNATION;
    return instance;
  }

  isHeldFrom(replica: number, now: number): boolean {
    return now < (this.heldUntil[replica] ?? 0);
  }

  /** `refused` is noticed at once, `silent` only after a time limit. */
  reachedBy(replica: number, now: number): 'answers' | 'refused' | 'silent' {
    if (now < (this.cutUntil[replica] ?? 0) || this.isHeldFrom(replica, now)) return 'silent';
    if (!this.isUp) return 'refused';
    return now < this.hangsUntil ? 'silent' : 'answers';
  }
}
