export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Must stand in the file exactly once. */
  readonly search: string;
  readonly replace: string;
  /** The test files of which at least one test has to fail. */
  readonly tests: readonly string[];
}

/** Faults in the parts on which it rests that an agent is at one instance. The tests have to notice each of them. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a request is sent without a second look, once there is a connection',
    file: 'src/data-plane/serve.ts',
    search: 'maySend: () => maySend(exchange, pool),',
    replace: 'maySend: () => maySend(exchange, pool) || true,',
    tests: ['test/integration/forwarding-first-byte.test.ts'],
  },
  {
    name: 'an attempt does not ask whether it may be sent',
    file: 'src/data-plane/attempt.ts',
    search: '&& !this.request.maySend();',
    replace: '&& !this.request.maySend() && false;',
    tests: ['test/integration/forwarding-first-byte.test.ts'],
  },
  {
    name: 'a view is acknowledged before the workers have adopted it',
    file: 'src/core/agreement/replica.ts',
    search: 'if (this.#o.awaitsConfirmation !== true) this.#adopted = view;',
    replace: 'this.#adopted = view;',
    tests: ['test/unit/agreement-adopted.test.ts'],
  },
  {
    name: 'the adoption of an earlier view passes for that of the newest',
    file: 'src/core/agreement/replica.ts',
    search: 'if (id === this.#agreed.id) this.#adopted = this.#agreed;',
    replace: 'this.#adopted = this.#agreed;',
    tests: ['test/unit/agreement-adopted.test.ts'],
  },
  {
    name: 'the controller takes a view for adopted without asking its workers',
    file: 'src/host/workers.ts',
    search: 'if (until === undefined) guide.confirm(viewId);',
    replace: 'if (until !== 0) guide.confirm(viewId);',
    tests: ['test/unit/host-views.test.ts'],
  },
  {
    name: 'the controller does not wait for its workers',
    file: 'src/composition/control-pool.ts',
    search: 'awaitsConfirmation: parts.publisher !== undefined,',
    replace: 'awaitsConfirmation: false,',
    tests: ['test/unit/composition-control-pool.test.ts'],
  },
  {
    name: 'an answer is learnt that news of a move has overtaken',
    file: 'src/affinity/bindings.ts',
    search: 'if (this.#moves.isOutdated([...names, claim.binding.root], askedAt)) return;',
    replace: '',
    tests: ['test/integration/affinity-bindings-overtaken.test.ts'],
  },
  {
    name: 'what was written back is learnt though news of a move has overtaken it',
    file: 'src/affinity/bindings.ts',
    search: 'if (this.#moves.isOutdated(names, askedAt)) return;',
    replace: '',
    tests: ['test/integration/affinity-bindings-overtaken.test.ts'],
  },
  {
    name: 'news of a move outdates no answer that is under way',
    file: 'src/affinity/heard-moves.ts',
    search: '?? -1) >= askedAt',
    replace: '?? -1) > askedAt + 1e9',
    tests: ['test/integration/affinity-bindings-overtaken.test.ts'],
  },
  {
    name: 'the mirror learns a page that news of a move has overtaken',
    file: 'src/affinity/mirror.ts',
    search: 'if (isOutdated([binding.root], askedAt)) continue;',
    replace: '',
    tests: ['test/integration/affinity-bindings-overtaken.test.ts'],
  },
  {
    name: 'a bulletin may be acted on for a whole lease from when it is sent, by the monotonic clock',
    file: 'src/host/workers.ts',
    search: 'mono: Math.min(snapshot.leaseEnd.mono, mono + this.#o.leaseMs),',
    replace: 'mono: mono + this.#o.leaseMs,',
    tests: ['test/unit/host-views.test.ts'],
  },
  {
    name: 'a bulletin may be acted on for a whole lease from when it is sent, by the wall clock',
    file: 'src/host/workers.ts',
    search: 'wall: Math.min(snapshot.leaseEnd.wall, wall + this.#o.leaseMs),',
    replace: 'wall: wall + this.#o.leaseMs,',
    tests: ['test/unit/host-views.test.ts'],
  },
  {
    name: 'a copy of a standing does not look at the end of the lease by the monotonic clock',
    file: 'src/core/agreement/standing-copy.ts',
    search: 'mono: end - this.#offsetMs,',
    replace: 'mono: end + 1e9,',
    tests: ['test/unit/host-views.test.ts'],
  },
  {
    name: 'a view before the newest may be acted on by a worker that is not waited for',
    file: 'src/host/adoption.ts',
    search: 'told.earlierUntil = Math.max(told.earlierUntil, told.until);',
    replace: 'told.earlierUntil = told.until - 1e9;',
    tests: ['test/unit/host-views.test.ts'],
  },
];
