import { useMemo } from 'preact/hooks';
import { live } from '../data/live.ts';
import { samples } from '../data/samples.ts';
import { useStore } from '../data/store.ts';
import { curvesOf } from '../logic/samples.ts';
import { number, rate } from '../logic/text.ts';
import { Curve } from './curve.tsx';
import { Panel } from './panel.tsx';

const FEWEST = 3;
const STALE_AFTER_MS = 20_000;

/** The last minutes, of the whole gateway, since the console was opened. */
export function CurvesPanel() {
  const all = useStore(samples);
  const { problem } = useStore(live);
  const curves = useMemo(() => curvesOf(all), [all]);
  const [at, requests, faults, agents, inFlight] = curves;
  const source = {
    data: all.length === 0 ? undefined : all,
    at: (all.at(-1)?.at ?? 0) * 1_000,
    problem: all.length === 0 ? problem : undefined,
  };
  const whole = (value: number): string => number(Math.round(value));
  return (
    <Panel
      name="curves"
      title="Last minutes"
      source={source}
      staleAfter={STALE_AFTER_MS}
      empty={(held) => (held.length < FEWEST ? 'Curves begin when the console is opened.' : undefined)}
    >
      {() => (
        <div class="curves">
          <Curve title="Requests" at={at} values={requests} format={rate} />
          <Curve title="Answers with a fault" at={at} values={faults} format={rate} />
          <Curve title="Bound agents" at={at} values={agents} format={whole} />
          <Curve title="Requests in flight" at={at} values={inFlight} format={whole} />
        </div>
      )}
    </Panel>
  );
}
