import type { Mutant } from './mutant.ts';

/** Faults in handing requests to peers, and in taking them. */
export const RELAY_MUTANTS: readonly Mutant[] = [
  {
    name: 'a peer sends by an older view than that of the gateway that asks it',
    file: 'src/core/relay.ts',
    search: ' || view.epoch < viewEpoch',
    replace: '',
    tests: ['test/unit/core/relay.test.ts'],
  },
  {
    name: 'a peer sends without a lease',
    file: 'src/core/relay.ts',
    search: "routingState.modeAt(mono, wall) !== 'leased' || ",
    replace: '',
    tests: ['test/unit/core/relay.test.ts'],
  },
  {
    name: 'a peer takes a request for an instance that it does not reach',
    file: 'src/core/relay.ts',
    search: 'if (failing.has(target.instance) || unreachable.has(target.instance)) return false;',
    replace: '',
    tests: ['test/unit/core/relay.test.ts'],
  },
  {
    name: 'a peer does not judge a request again right before its first byte',
    file: 'src/proxy/relay-server.ts',
    search: '      maySend,\n',
    replace: '      maySend: () => true,\n',
    tests: ['test/integration/relay-server.test.ts'],
  },
  {
    name: 'a withdrawn request is handed to a peer',
    file: 'src/proxy/relay-client.ts',
    search: "this.#handler.onConnect((reason) => this.#fail(reason ?? new Error('aborted')), {});",
    replace: 'this.#handler.onConnect(() => {}, {});',
    tests: ['test/integration/relay-peers.test.ts'],
  },
  {
    name: 'a request counts as unsent if its peer ends',
    file: 'src/proxy/relay-client.ts',
    search: ".on('error', (error) => this.#fail(error))\n      .on('close'",
    replace: ".on('error', () => this.#fail(new NotRelayed()))\n      .on('close'",
    tests: ['test/integration/relay-peers.test.ts'],
  },
  {
    name: 'a peer can have a request sent again that it has taken',
    file: 'src/proxy/relay-message.ts',
    search: 'return mayRetry || answer === undefined ? undefined : kind;',
    replace: 'return answer === undefined ? undefined : kind;',
    tests: ['test/integration/relay-peers.test.ts'],
  },
  {
    name: 'a gateway that places agents without the store hands their requests on',
    file: 'src/core/view/replica.ts',
    search: 'this.placesAlone ? undefined : this.#reachability.relays',
    replace: 'this.#reachability.relays',
    tests: ['test/unit/core/relay.test.ts'],
  },
  {
    name: 'the first peer gets all requests',
    file: 'src/core/relay.ts',
    search: 'left[Math.floor(chance * left.length)]',
    replace: 'left[0]',
    tests: ['test/unit/core/relay.test.ts'],
  },
  {
    name: 'a peer in maintenance gets its share',
    file: 'src/core/view/reachability.ts',
    search: 'report.relaysLast === true ? last : relays',
    replace: 'relays',
    tests: ['test/unit/core/view/reachability.test.ts'],
  },
];
