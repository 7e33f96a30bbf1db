import { useState } from 'preact/hooks';
import { speak } from '../data/announcer.ts';
import type { Problem } from '../data/client.ts';
import { readFile } from '../data/client.ts';
import { clock } from '../data/clock.ts';
import { saveFile } from '../data/save-file.ts';
import { session, whyNot } from '../data/session.ts';
import { useStore } from '../data/store.ts';
import { fileTime } from '../logic/time.ts';

/** Saves an archive for an analysis of what went wrong. A button that cannot be used says why. */
export function IncidentButton() {
  const { session: current } = useStore(session);
  const [isBusy, setIsBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const reason = whyNot('operator', current);
  const save = async (): Promise<void> => {
    setIsBusy(true);
    setProblem(undefined);
    const answer = await readFile('/incident');
    setIsBusy(false);
    if (answer.ok) saveFile(`incident-${fileTime(clock.now())}.tar.gz`, answer.body);
    else setProblem(answer.problem);
    speak(answer.ok ? 'archive downloaded' : answer.problem.text);
  };
  return (
    <span class="buttons">
      {problem !== undefined && <span class="level-warning">▲ {problem.text}</span>}
      <button
        type="button"
        data-testid="incident"
        disabled={isBusy || reason !== undefined}
        title={
          reason ??
          'State, views, events, metrics and masked configuration of the last 15 minutes, for an analysis; names are replaced'
        }
        onClick={() => void save()}
      >
        {isBusy ? 'Gathering …' : 'Incident archive'}
      </button>
    </span>
  );
}
