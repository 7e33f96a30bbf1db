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
];
