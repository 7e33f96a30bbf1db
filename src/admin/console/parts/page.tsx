import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { live } from '../data/live.ts';
import { session, whyNot } from '../data/session.ts';
import { useStore } from '../data/store.ts';

interface PageProps {
  readonly name: string;
  /** For the title of the window, and where `heading` is not given, the heading. */
  readonly title: string;
  readonly heading?: ComponentChildren;
  readonly side?: ComponentChildren;
  readonly children: ComponentChildren;
}

/** A page with its heading, which gets the focus when the page opens, so that a screen reader begins there. */
export function Page({ name, title, heading, side, children }: PageProps) {
  const { status } = useStore(live);
  const host = status?.host;
  const top = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} – ${host ?? 'ici-gateway'}`;
  }, [title, host]);
  // Before anything is painted: a key that is pressed at once belongs to the new page.
  useLayoutEffect(() => {
    // The first page leaves the focus where the browser has it.
    if (hasOpened) top.current?.focus({ preventScroll: true });
    hasOpened = true;
    scrollTo(0, 0);
  }, []);
  return (
    <div class="page" data-testid={`page-${name}`}>
      <div class="heading">
        <h1 ref={top} tabIndex={-1}>
          {heading ?? title}
        </h1>
        {side}
      </div>
      {children}
    </div>
  );
}

let hasOpened = false;

/** Says once on a page why its buttons cannot be used. */
export function WhyNoActs() {
  const { session: current } = useStore(session);
  const reason = whyNot('operator', current);
  return reason === undefined ? null : <p class="note">You can look only. {reason}</p>;
}
