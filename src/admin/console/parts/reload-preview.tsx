import type { ReloadPreviewStatus } from '../data/contract.ts';
import { usePoll } from '../data/poll.ts';
import { count } from '../logic/text.ts';
import { Panel } from './panel.tsx';

const POLL_MS = 10_000;
const STALE_AFTER_MS = 30_000;

/** What would change if the gateway read its configuration again now. */
export function ReloadPanel() {
  const source = usePoll<ReloadPreviewStatus>('/reload/preview', POLL_MS);
  return (
    <div data-testid="reload-preview">
      <Panel
        name="reload"
        title="What a reload would change"
        source={source}
        staleAfter={STALE_AFTER_MS}
        empty={({ text, problems, refused, changes }) =>
          problems.length + refused.length + changes.length === 0 ? `${text}.` : undefined
        }
      >
        {(preview) => <Preview preview={preview} />}
      </Panel>
    </div>
  );
}

function Preview({ preview }: { readonly preview: ReloadPreviewStatus }) {
  const { text, problems, refused, changes, agents, moves } = preview;
  return (
    <>
      <p class={problems.length + refused.length > 0 ? 'bad' : undefined}>{text}.</p>
      <List items={problems} />
      <List items={refused} />
      <List items={changes} />
      {changes.length > 0 && moves.length === 0 && <p>No agent would move.</p>}
      {moves.length > 0 && <p class="bad">{count(agents, 'agent')} would move and must log on again:</p>}
      <List
        items={moves.map(
          ({ pool, instance, agents: bound, movesAll, why }) =>
            `${movesAll ? 'all agents' : count(bound, 'agent')} of ${instance}, pool ${pool}: ${why}`,
        )}
      />
    </>
  );
}

function List({ items }: { readonly items: readonly string[] }) {
  if (items.length === 0) return null;
  return (
    <ul>
      {items.map((item) => (
        <li key={item}>{item}</li>
      ))}
    </ul>
  );
}
