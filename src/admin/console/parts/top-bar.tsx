import { useLayoutEffect, useRef } from 'preact/hooks';
import { live, STALE_AFTER_MS } from '../data/live.ts';
import type { Theme } from '../data/preferences.ts';
import { theme, zone } from '../data/preferences.ts';
import { route } from '../data/route.ts';
import { logOut, session } from '../data/session.ts';
import { useStore } from '../data/store.ts';
import type { Place } from '../logic/place.ts';
import {
  ERRORS_PAGE,
  GATEWAY,
  OVERVIEW,
  POOLS,
  toAgents,
  toConfig,
  toEvents,
  toExplain,
  toLive,
} from '../logic/place.ts';
import { stateLevel } from '../logic/served.ts';
import { Badge } from './badge.tsx';
import { FindAgent } from './find-agent.tsx';
import { useIsLate } from './panel.tsx';

const NEXT_THEME: Readonly<Record<Theme, Theme>> = { auto: 'light', light: 'dark', dark: 'auto' };

export function TopBar({ onHelp }: { readonly onHelp: () => void }) {
  const { status, at, problem } = useStore(live);
  const isLate = useIsLate(status === undefined ? undefined : at + STALE_AFTER_MS);
  const isKnown = problem === undefined && !isLate;
  const chosenTheme = useStore(theme);
  const chosenZone = useStore(zone);
  return (
    <header class="top">
      <button type="button" class="skip" onClick={toMain}>
        To the content
      </button>
      <div class="who">
        <a href={OVERVIEW} class="brand">
          ici-gateway
        </a>
        {status !== undefined && (
          <span class="self">
            <code>{status.host}</code>{' '}
            <Badge level={isKnown ? stateLevel(status.state) : 'unknown'}>
              {isKnown ? status.state : 'not known'}
            </Badge>
          </span>
        )}
      </div>
      <FindAgent />
      <div class="tools">
        <button
          type="button"
          data-testid="zone"
          title="Show times in the zone of this browser, or in UTC"
          onClick={() => zone.set(chosenZone === 'utc' ? 'local' : 'utc')}
        >
          {chosenZone === 'utc' ? 'UTC' : 'Local'}
        </button>
        <button
          type="button"
          data-testid="theme"
          title="Colours: as the system, light, or dark"
          onClick={() => theme.set(NEXT_THEME[chosenTheme])}
        >
          {chosenTheme === 'auto' ? 'Auto' : chosenTheme === 'light' ? 'Light' : 'Dark'}
        </button>
        <button
          type="button"
          data-testid="help"
          title="Keys and words (?)"
          aria-label="Help"
          onClick={onHelp}
        >
          ?
        </button>
        <User />
      </div>
      <Navigation />
    </header>
  );
}

// Not a link: the address after "#" is the page.
function toMain(): void {
  document.getElementById('main')?.focus();
}

function User() {
  const { session: current } = useStore(session);
  if (current === undefined || current.kind === null) return null;
  if (current.kind !== 'user')
    return <span class="muted">{current.kind === 'loopback' ? 'this machine' : 'token'}</span>;
  return (
    <>
      <span class="muted" data-testid="user">
        {current.user} ({current.role})
      </span>
      <button type="button" data-testid="logout" onClick={() => void logOut()}>
        Log out
      </button>
    </>
  );
}

// So much of the page before is in sight that the bar is seen to scroll.
const NEXT_PX = 40;

function Navigation() {
  const { place } = useStore(route);
  const bar = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    const current = bar.current?.querySelector<HTMLElement>('[aria-current]');
    // On a narrow screen the bar scrolls, and the page itself must not.
    if (bar.current !== null && current != null) bar.current.scrollLeft = current.offsetLeft - NEXT_PX;
  }, [place.page]);
  const links: readonly (readonly [text: string, href: string, pages: readonly Place['page'][]])[] = [
    ['Overview', OVERVIEW, ['overview']],
    ['Agents', toAgents(), ['agents', 'agent']],
    ['Pools', POOLS, ['pool', 'drain', 'history']],
    ['Gateway', GATEWAY, ['gateway']],
    ['Live', toLive(), ['live']],
    ['Errors', ERRORS_PAGE, ['errors']],
    ['Events', toEvents(), ['events']],
    ['Explain', toExplain(), ['explain']],
    ['Configuration', toConfig(), ['config']],
  ];
  return (
    <nav aria-label="Pages" ref={bar}>
      {links.map(([text, href, pages]) => (
        <a key={text} href={href} aria-current={pages.includes(place.page) ? 'page' : undefined}>
          {text}
        </a>
      ))}
    </nav>
  );
}
