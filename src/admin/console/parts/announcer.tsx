import { spoken } from '../data/announcer.ts';
import { useStore } from '../data/store.ts';

/** Two regions that screen readers speak when their text changes: in turn, and at once. */
export function Announcer() {
  const { text, isUrgent } = useStore(spoken);
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite" data-testid="spoken">
        {isUrgent ? '' : text}
      </div>
      <div class="visually-hidden" role="alert" aria-live="assertive" data-testid="spoken-now">
        {isUrgent ? text : ''}
      </div>
    </>
  );
}
