import { clock } from '../data/clock.ts';
import { zone } from '../data/preferences.ts';
import { useSelected, useStore } from '../data/store.ts';
import type { Zone } from '../logic/time.ts';
import { absoluteText, lastRequestText, relativeText } from '../logic/time.ts';

/** A moment, absolute and relative. */
export function When({ iso, only }: { readonly iso: string; readonly only?: 'relative' | 'absolute' }) {
  const at = Date.parse(iso);
  const chosen = useStore(zone);
  const relative = useSelected(clock, (now) => relativeText(at, now));
  const absolute = useSelected(clock, (now) =>
    absoluteText(at, now, offset(at, chosen), offset(now, chosen)),
  );
  if (only !== undefined)
    return (
      <time dateTime={iso} title={only === 'relative' ? absolute : iso}>
        {only === 'relative' ? relative : absolute}
      </time>
    );
  return (
    <time dateTime={iso} title={iso}>
      {absolute} <span class="muted">({relative})</span>
    </time>
  );
}

/** The last request of an agent. */
export function LastRequest({
  iso,
  withinSeconds,
}: {
  readonly iso: string;
  readonly withinSeconds: number;
}) {
  const at = Date.parse(iso);
  return <>{useSelected(clock, (now) => lastRequestText(at, withinSeconds * 1_000, now))}</>;
}

function offset(at: number, chosen: Zone): number {
  return chosen === 'utc' ? 0 : -new Date(at).getTimezoneOffset();
}
