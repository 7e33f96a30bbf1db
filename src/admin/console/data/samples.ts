import type { Sample } from '../logic/samples.ts';
import { withSample } from '../logic/samples.ts';
import type { GatewayStatus } from './contract.ts';
import { live } from './live.ts';
import { Store } from './store.ts';

/** Collected on every page, so that the curves are there when the overview is opened. */
export const samples = new Store<readonly Sample[]>([]);

export function collectSamples(): void {
  live.subscribe(() => {
    const { status, at, problem } = live.value;
    if (status === undefined) samples.set([]);
    else if (problem === undefined)
      samples.set(withSample(samples.value, { at: at / 1_000, ...countersOf(status) }));
  });
}

function countersOf({ pools, inFlight }: GatewayStatus): Omit<Sample, 'at'> {
  const counters = { requests: 0, faults: 0, agents: 0, inFlight };
  for (const { traffic, instances } of pools) {
    counters.requests += traffic.requests;
    counters.faults += traffic.faults;
    for (const { boundAgents } of instances) counters.agents += boundAgents;
  }
  return counters;
}
