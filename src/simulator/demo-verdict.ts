import type { AgentStats } from './agent-stats.ts';
import type { Outage } from './demo-watch.ts';

/** All measurements of one demo. */
export interface DemoMeasures {
  readonly agents: AgentStats;
  readonly outages: readonly Outage[];
  /** Requests of which the header reached a connector. */
  readonly delivered: number;
  /** Ids that reached connectors more than once, over all connectors and incarnations. */
  readonly duplicates: readonly string[];
  /** Why the gateway ended, if it ended unexpectedly. */
  readonly gatewayDied: string | undefined;
}

export interface Verdict {
  readonly kept: boolean;
  /** The result in plain words, next to the promise. */
  readonly lines: readonly { readonly good: boolean; readonly text: string }[];
}

/**
 * Agents of a killed connector must be logged on again within this time: detection, a logon, and room for a busy
 * machine.
 */
export const BACK_WITHIN_MS = 10_000;

export function judge(measures: DemoMeasures): Verdict {
  const lines = [
    ...measures.outages.flatMap(outageLines),
    noSplit(measures),
    sentOnce(measures),
    allAnswered(measures),
    intact(measures),
  ];
  if (measures.gatewayDied !== undefined) {
    lines.push({ good: false, text: `the gateway ended by itself: ${measures.gatewayDied}` });
  }
  return { kept: lines.every(({ good }) => good), lines };
}

type Line = Verdict['lines'][number];

function outageLines(outage: Outage): Line[] {
  const { connector, agents, withinMs, disturbed, upAgainMs } = outage;
  const back = sum(outage.backAt);
  const seconds = (withinMs / 1000).toFixed(1);
  const inTime = back === agents && withinMs <= BACK_WITHIN_MS;
  const lines = [
    {
      good: inTime,
      text:
        back === agents
          ? `connector ${connector} was killed: ${count(agents, 'agent')} logged on again${at(outage.backAt)} within ${seconds} s`
          : `connector ${connector} was killed: only ${back} of ${count(agents, 'agent')} logged on again${at(outage.backAt)}`,
    },
    {
      good: disturbed === 0,
      text:
        disturbed === 0
          ? 'agents of the other connectors noticed nothing'
          : `${count(disturbed, 'agent')} of other connectors had to log on again too`,
    },
  ];
  if (upAgainMs === undefined) {
    lines.push({ good: false, text: `connector ${connector} was started again, but was not used again` });
  } else {
    const newcomers = sum(outage.newcomers);
    const came =
      newcomers === 0 ? '' : `; ${count(newcomers, 'new agent')} then logged on${at(outage.newcomers)}`;
    lines.push({
      good: true,
      text: `connector ${connector} was started again and up after ${(upAgainMs / 1000).toFixed(1)} s${came}`,
    });
  }
  return lines;
}

function noSplit({ agents: { splits, splitExamples } }: DemoMeasures): Line {
  if (splits === 0) return { good: true, text: 'no agent was answered by two living connectors' };
  const who = splitExamples
    .slice(0, 1)
    .map(({ agent, first, second }) => `, first ${agent}, by ${first.connector} and ${second.connector}`)
    .join('');
  return { good: false, text: `${count(splits, 'logon')} answered by two living connectors${who}` };
}

function sentOnce({ delivered, duplicates }: DemoMeasures): Line {
  if (duplicates.length === 0) {
    return { good: delivered > 0, text: `no request was sent twice (${delivered} reached a connector)` };
  }
  return {
    good: false,
    text: `${count(duplicates.length, 'request')} reached connectors twice, first ${duplicates[0]}`,
  };
}

function allAnswered({ agents: { requests, answers, faults, errors } }: DemoMeasures): Line {
  const faulted = sum(faults) === 0 ? '' : `, of them with a Fault: ${listed(faults)}`;
  const unanswered = requests - answers - sum(faults);
  if (unanswered === 0) {
    return { good: answers > 0, text: `all ${count(requests, 'request')} were answered${faulted}` };
  }
  return {
    good: false,
    text: `${unanswered} of ${count(requests, 'request')} were not answered (${listed(errors)})${faulted}`,
  };
}

function intact({ agents: { corrupted } }: DemoMeasures): Line {
  return corrupted === 0
    ? { good: true, text: 'every request arrived byte for byte' }
    : { good: false, text: `${count(corrupted, 'request')} arrived changed` };
}

function at(places: Readonly<Record<string, number>>): string {
  const names = Object.keys(places).sort();
  if (names.length === 0) return '';
  return ` at ${names.length === 1 ? names[0] : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((all, one) => all + one, 0);
}

function listed(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([key, value]) => `${value} ${key}`)
    .join(', ');
}
