import { useEffect, useState } from 'preact/hooks';
import { speak } from './data/announcer.ts';
import type { GatewayStatus } from './data/contract.ts';
import { live } from './data/live.ts';
import type { Route } from './data/route.ts';
import { go, route } from './data/route.ts';
import { session } from './data/session.ts';
import { useStore } from './data/store.ts';
import { OVERVIEW } from './logic/place.ts';
import { news, verdictOf } from './logic/served.ts';
import { AgentPage } from './pages/agent.tsx';
import { Agents } from './pages/agents.tsx';
import { ConfigPage } from './pages/config.tsx';
import { DrainPage } from './pages/drain.tsx';
import { ErrorsPage } from './pages/errors.tsx';
import { Events } from './pages/events.tsx';
import { ExplainPage } from './pages/explain.tsx';
import { GatewayPage } from './pages/gateway.tsx';
import { HistoryPage } from './pages/history.tsx';
import { LivePage } from './pages/live.tsx';
import { Login } from './pages/login.tsx';
import { Overview } from './pages/overview.tsx';
import { PoolPage } from './pages/pool.tsx';
import { ActDialog } from './parts/act-dialog.tsx';
import { ActStrip } from './parts/act-strip.tsx';
import { Announcer } from './parts/announcer.tsx';
import { Help } from './parts/help.tsx';
import { Page } from './parts/page.tsx';
import { ProblemText } from './parts/problem.tsx';
import { TopBar } from './parts/top-bar.tsx';

export function App() {
  const { session: current, problem } = useStore(session);
  const here = useStore(route);
  const [isHelping, setHelping] = useState(false);
  useKeys(() => setHelping(true));
  useSpokenNews();
  if (current === undefined)
    return (
      <main class="login">
        {problem === undefined ? <p>Asking the gateway …</p> : <ProblemText problem={problem} />}
      </main>
    );
  if (current.kind === null) return <Login current={current} />;
  return (
    <>
      <TopBar onHelp={() => setHelping(true)} />
      <main id="main" tabIndex={-1}>
        <PageOf here={here} />
      </main>
      <ActStrip />
      <ActDialog />
      {isHelping && <Help onClose={() => setHelping(false)} />}
      <Announcer />
    </>
  );
}

/** Each page begins with data of its own, so that no agent is shown under another one's name. */
function PageOf({ here: { place } }: { readonly here: Route }) {
  const { page, pool, instance, name } = place;
  switch (page) {
    case 'overview':
      return <Overview />;
    case 'agents':
      return <Agents />;
    case 'agent':
      return <AgentPage key={`${pool}/${name}`} />;
    case 'pool':
      return <PoolPage key={pool} />;
    case 'drain':
      return <DrainPage key={`${pool}/${instance}`} />;
    case 'history':
      return <HistoryPage key={pool} />;
    case 'gateway':
      return <GatewayPage />;
    case 'events':
      return <Events />;
    case 'config':
      return <ConfigPage />;
    case 'explain':
      return <ExplainPage />;
    case 'live':
      return <LivePage />;
    case 'errors':
      return <ErrorsPage />;
    case 'unknown':
      return (
        <Page name="unknown" title="There is no such page">
          <p>
            The address names no page of the console. <a href={OVERVIEW}>Go to the overview.</a>
          </p>
        </Page>
      );
  }
}

const TYPED_INTO = 'input, textarea, select, dialog';

/** What was typed before is replaced by the next name. */
function toFindAgent(): void {
  const field = document.querySelector<HTMLInputElement>('#find-agent');
  field?.focus();
  field?.select();
}

function useKeys(onHelp: () => void): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const { key, target, ctrlKey, metaKey, altKey } = event;
      if (ctrlKey || metaKey || altKey || document.querySelector('dialog[open]') !== null) return;
      if (target instanceof Element && target.closest(TYPED_INTO) !== null) return;
      if (key === '?') onHelp();
      else if (key === '/') toFindAgent();
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [onHelp]);
}

/** Speaks what changes in the answer to "are agents served?" and in the alarms. */
function useSpokenNews(): void {
  useEffect(() => {
    let before: GatewayStatus | undefined;
    return live.subscribe(() => {
      const { status } = live.value;
      if (status !== undefined && before !== undefined && status !== before) {
        const verdict = verdictOf(status);
        const isNew = verdict.text !== verdictOf(before).text;
        const texts = [...(isNew ? [verdict.text] : []), ...news(before.alarms, status.alarms)];
        if (texts.length > 0) speak(texts.join(' '), isNew && verdict.level === 'critical');
      }
      before = status;
    });
  }, []);
}

/** The address of the state page's prefix has no part after "#". */
export function openFirstPage(): void {
  if (location.hash === '') go(OVERVIEW);
}
