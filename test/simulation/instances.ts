import type { InstanceId } from '../../src/core/instance.ts';

// So that no life of another connector looks like one of this.
const ELSEWHERE_LIFE = 1_001;

/** A simulated connector instance: there or not, in which life, and for whom it can be reached. */
export class Instance {
  readonly id: InstanceId;
  life = 1;
  isUp = true;
  hangsUntil = 0;
  /** Agents that it has served in this life. */
  readonly sessions = new Set<string>();
  /** Until when each replica cannot reach it, by the replica's number. */
  readonly cutUntil: number[];
  /** Until when the network holds what each replica sends, by the replica's number. */
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
    this.life += 1;
  }

  /** What a gateway reaches that has another URL under the same name. */
  static elsewhere(id: InstanceId, replicas: number): Instance {
    const instance = new Instance(id, replicas);
    instance.life = ELSEWHERE_LIFE;
    return instance;
  }

  isHeldFrom(replica: number, now: number): boolean {
    return now < (this.heldUntil[replica] ?? 0);
  }

  /** `refused` shows at once, `silent` only by a time limit. */
  reachedBy(replica: number, now: number): 'answers' | 'refused' | 'silent' {
    if (now < (this.cutUntil[replica] ?? 0) || this.isHeldFrom(replica, now)) return 'silent';
    if (!this.isUp) return 'refused';
    return now < this.hangsUntil ? 'silent' : 'answers';
  }
}
