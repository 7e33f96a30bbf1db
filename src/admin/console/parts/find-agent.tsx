import { useEffect, useRef, useState } from 'preact/hooks';
import { speak } from '../data/announcer.ts';
import { read } from '../data/client.ts';
import type { AgentPage, AgentStatus } from '../data/contract.ts';
import { live } from '../data/live.ts';
import { go } from '../data/route.ts';
import type { Finding, Suggestion } from '../logic/finding.ts';
import { findingOf, suggestionsOf } from '../logic/finding.ts';
import { toAgent, toAgents } from '../logic/place.ts';
import { showHidden } from '../logic/text.ts';

const SUGGEST_AFTER_MS = 150;
const SUGGESTIONS = 8;

/** Whose answers are awaited; asks for the status if the page has none yet. `undefined`: the gateway does not answer. */
async function poolNames(): Promise<readonly string[] | undefined> {
  if (live.value.status === undefined) await live.refresh();
  return live.value.status?.pools.map(({ name }) => name);
}

/** Asks all pools where an agent is bound. One answer opens the agent's page, which says it in a sentence. */
export function FindAgent() {
  const [text, setText] = useState('');
  const [suggestions, setSuggestions] = useState<readonly Suggestion[]>([]);
  const [chosen, setChosen] = useState(-1);
  const [found, setFound] = useState<Finding>();
  const [isOpen, setOpen] = useState(false);
  const question = useRef<AbortController | undefined>(undefined);
  const suggesting = useRef<AbortController | undefined>(undefined);
  useEffect(() => {
    const prefix = text.trim();
    if (prefix === '') {
      setSuggestions([]);
      return undefined;
    }
    const timer = setTimeout(() => {
      const signal = begin(suggesting);
      void suggest(prefix, signal).then((all) => {
        if (signal.aborted) return;
        setSuggestions(all);
        setChosen(-1);
      });
    }, SUGGEST_AFTER_MS);
    return () => clearTimeout(timer);
  }, [text]);

  const close = (): void => {
    setOpen(false);
    setChosen(-1);
  };
  const open = (pool: string, { kind, name }: Suggestion['agent']): void => {
    begin(question);
    begin(suggesting);
    setText('');
    setFound(undefined);
    close();
    go(toAgent(pool, name, kind));
  };
  const find = async (): Promise<void> => {
    const name = text.trim();
    const suggestion = suggestions[chosen];
    if (suggestion !== undefined) return open(suggestion.pool, suggestion.agent);
    if (name === '') return;
    const signal = begin(question);
    const answer = await lookUp(name, signal);
    if (signal.aborted) return;
    if (answer.opens !== undefined) return open(answer.opens.pool, answer.opens);
    setFound(answer);
    setOpen(true);
    speak(answer.texts.join(' '));
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') {
      close();
      setFound(undefined);
    }
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step === 0 || suggestions.length === 0) return;
    event.preventDefault();
    setOpen(true);
    setChosen((before) => Math.max(-1, Math.min(suggestions.length - 1, before + step)));
  };
  const showsList = isOpen && found === undefined && suggestions.length > 0;

  return (
    <search class="find">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void find();
        }}
        onFocusOut={({ currentTarget, relatedTarget }) => {
          if (!(relatedTarget instanceof Node) || !currentTarget.contains(relatedTarget)) close();
        }}
      >
        <input
          id="find-agent"
          type="text"
          data-testid="find-agent"
          placeholder="Find agent  /"
          aria-label="Find agent"
          autocomplete="off"
          spellcheck={false}
          role="combobox"
          aria-autocomplete="list"
          aria-expanded={showsList}
          aria-controls="find-list"
          aria-activedescendant={showsList && chosen >= 0 ? `find-${chosen}` : undefined}
          value={text}
          onInput={({ currentTarget }) => {
            setText(currentTarget.value);
            setFound(undefined);
            setOpen(true);
          }}
          onKeyDown={onKey}
        />
        <div id="find-list" class={showsList ? 'drop' : 'drop closed'} role="listbox" aria-label="Agents">
          {showsList &&
            suggestions.map(({ pool, agent }, index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the focus, and its keys choose
              <div
                key={`${pool} ${agent.name}`}
                id={`find-${index}`}
                class="option"
                role="option"
                tabIndex={-1}
                aria-selected={index === chosen}
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => open(pool, agent)}
              >
                <code>{showHidden(agent.name)}</code> on {agent.instance}
                <span class="muted"> pool {pool}</span>
              </div>
            ))}
        </div>
        {isOpen && found !== undefined && (
          <div class="drop answer" data-testid="find-answer">
            {found.texts.map((line) => (
              <p key={line}>{line}</p>
            ))}
            {found.agents.map((agent) => (
              <p key={agent.pool}>
                <a href={toAgent(agent.pool, agent.name, agent.kind)} onClick={close}>
                  {showHidden(agent.sentence)}
                </a>
                <span class="muted"> Pool {agent.pool}.</span>
              </p>
            ))}
            {found.agents.length === 0 && suggestions.length > 0 && (
              <p>
                <a href={toAgents({ prefix: text.trim() })} onClick={close}>
                  Agents that begin with {text.trim()}
                </a>
              </p>
            )}
          </div>
        )}
      </form>
    </search>
  );
}

/** Ends the question before, so that its late answer is not shown. */
function begin(current: { current: AbortController | undefined }): AbortSignal {
  current.current?.abort();
  current.current = new AbortController();
  return current.current.signal;
}

async function suggest(prefix: string, signal: AbortSignal): Promise<readonly Suggestion[]> {
  const query = new URLSearchParams({ prefix, limit: String(SUGGESTIONS) });
  const pages = await Promise.all(
    ((await poolNames()) ?? []).map(async (pool) => {
      const agents = `/pools/${encodeURIComponent(pool)}/agents`;
      // A page holds any of the names that begin so, and not always the one that is all of the prefix.
      const [exact, page] = await Promise.all([
        read<AgentStatus>(`${agents}/${encodeURIComponent(prefix)}`, signal),
        read<AgentPage>(`${agents}?${query}`, signal),
      ]);
      const found = [
        ...(exact.ok && exact.body.generation !== null ? [exact.body] : []),
        ...(page.ok ? page.body.agents : []),
      ];
      return found.map((agent) => ({ pool, agent }));
    }),
  );
  return suggestionsOf(prefix, pages.flat()).slice(0, SUGGESTIONS);
}

async function lookUp(name: string, signal: AbortSignal): Promise<Finding> {
  const pools = await poolNames();
  if (pools === undefined)
    return { opens: undefined, agents: [], texts: ['The gateway does not answer: try again.'] };
  const answers = await Promise.all(
    pools.map((pool) =>
      read<AgentStatus>(`/pools/${encodeURIComponent(pool)}/agents/${encodeURIComponent(name)}`, signal),
    ),
  );
  return findingOf(
    name,
    answers.map((answer, index) => ({
      pool: pools[index] ?? '',
      agent: answer.ok ? answer.body : undefined,
      problem: answer.ok || answer.problem.status === 404 ? undefined : answer.problem.text,
    })),
  );
}
