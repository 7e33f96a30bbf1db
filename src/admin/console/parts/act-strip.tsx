import { useEffect } from 'preact/hooks';
import type { DoneAct } from '../data/acts.ts';
import { acts, dismiss } from '../data/acts.ts';
import { speak } from '../data/announcer.ts';
import { useStore } from '../data/store.ts';
import type { Level } from '../logic/served.ts';
import { Badge } from './badge.tsx';
import { ProblemText } from './problem.tsx';

const LEVELS: Readonly<Record<DoneAct['state'], Level>> = {
  pending: 'unknown',
  accepted: 'warning',
  'in effect': 'ok',
  failed: 'critical',
};
const GONE_AFTER_MS = 10_000;

/** What became of the acts of this page. Those that are done disappear by themselves. */
export function ActStrip() {
  const all = useStore(acts);
  const [latest] = all;
  useEffect(() => {
    if (latest !== undefined) speak(`${latest.title}: ${latest.state}`, latest.state === 'failed');
  }, [latest]);
  if (latest === undefined) return null;
  return (
    <aside class="acts" aria-label="Your acts">
      {all.map((act) => (
        <OneAct key={act.id} act={act} testId={act === latest ? 'act-state' : 'act-state-before'} />
      ))}
    </aside>
  );
}

function OneAct({ act, testId }: { readonly act: DoneAct; readonly testId: string }) {
  const { id, state, title, problem } = act;
  useEffect(() => {
    if (state !== 'in effect') return undefined;
    const timer = setTimeout(() => dismiss(id), GONE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [id, state]);
  return (
    <div class="done">
      <Badge level={LEVELS[state]}>
        <span data-testid={testId} data-state={state}>
          {state}
        </span>
      </Badge>
      <span>{title}</span>
      <button type="button" aria-label={`Close: ${title}`} onClick={() => dismiss(id)}>
        ✕
      </button>
      {problem !== undefined && <ProblemText problem={problem} />}
    </div>
  );
}
