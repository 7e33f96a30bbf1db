import { useLayoutEffect, useRef } from 'preact/hooks';

const KEYS: readonly (readonly [keys: string, text: string])[] = [
  ['/', 'go to "Find agent"'],
  ['↑ ↓', 'go from row to row in a table, or from agent to agent while you search'],
  ['Enter', 'open the row, or find the agent'],
  ['Esc', 'close what is open'],
  ['?', 'this page'],
];

const WORDS: readonly (readonly [word: string, text: string])[] = [
  ['binding', 'the stored fact which instance serves an agent'],
  ['drain', 'the instance keeps its agents and takes no new ones'],
  ['disable', 'the instance gets no requests; its agents are moved and must log on again'],
  ['quarantined', 'up again, but it may still hold agents who are served elsewhere; it takes no new ones'],
  [
    'incarnation',
    'one life of an instance, from start to end; a restarted instance has forgotten its agents',
  ],
  ['view', 'what all gateways agree on about a pool; its epoch grows with every change'],
  ['in effect', 'every live gateway acts on it'],
  ['lease', 'how long a gateway may act on its copy of the view without an answer of the store'],
  ['storeless', 'the store is away, and the gateway places agents by itself'],
];

export function Help({ onClose }: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    dialog.current?.showModal();
    // Its first link stands at the end, and would be scrolled to.
    dialog.current?.querySelector('h2')?.focus();
  }, []);
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={onClose}>
      <h2 id="help-title" tabIndex={-1}>
        Keys and words
      </h2>
      <List entries={KEYS} />
      <List entries={WORDS} />
      <p>
        <a href="/runbook" target="_blank" rel="noopener">
          Runbook: what to do when something goes wrong
        </a>
      </p>
      <footer>
        <button type="button" class="main" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </footer>
    </dialog>
  );
}

function List({ entries }: { readonly entries: readonly (readonly [term: string, text: string])[] }) {
  return (
    <dl>
      {entries.map(([term, text]) => (
        <div key={term}>
          <dt>
            <code>{term}</code>
          </dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}
