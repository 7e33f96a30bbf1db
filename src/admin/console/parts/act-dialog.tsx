import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { run } from '../data/acts.ts';
import type { Problem } from '../data/client.ts';
import { read } from '../data/client.ts';
import type { GatewaysAnswer, PoolConsequence } from '../data/contract.ts';
import { useDraft } from '../data/draft.ts';
import { live } from '../data/live.ts';
import { usePoll } from '../data/poll.ts';
import { route } from '../data/route.ts';
import { useStore } from '../data/store.ts';
import type { Act, FieldName, Fields } from '../logic/acts.ts';
import { ACTS, commandOf, consequencePath } from '../logic/acts.ts';
import { isSurprise, localConsequence } from '../logic/consequence.ts';
import { asking } from './act-button.tsx';
import { ActFields } from './act-fields.tsx';
import { Copy } from './copy.tsx';
import { ProblemText } from './problem.tsx';
import { ReloadPanel } from './reload-preview.tsx';

const CONSEQUENCE_MS = 2_000;

/** The dialog of the act that waits for its confirmation. */
export function ActDialog() {
  const act = useStore(asking);
  return act === undefined ? null : <Confirmation key={JSON.stringify(act)} act={act} />;
}

function Confirmation({ act }: { readonly act: Act }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [why, setWhy] = useDraft(`why ${JSON.stringify(act)}`);
  const [fields, setFields] = useState<Fields>(() => initialFields(act));
  const [problem, setProblem] = useState<Problem>();
  const [isSending, setSending] = useState(false);
  const isBusy = useRef(false);
  const view = useSeenView(act);
  const consequence = useConsequence(act, fields, view.now);
  const kind = ACTS[act.verb];

  useLayoutEffect(() => {
    dialog.current?.showModal();
    dialog.current?.querySelector<HTMLElement>('input, select, textarea')?.focus();
  }, []);
  const close = (): void => dialog.current?.close();
  // The Back button leads away from what the act is about.
  const { hash } = useStore(route);
  const opened = useRef(hash);
  useLayoutEffect(() => {
    if (hash !== opened.current) dialog.current?.close();
  }, [hash]);

  const confirm = async (): Promise<void> => {
    // A second click of a double click comes before the button is drawn as disabled.
    if (isBusy.current) return;
    isBusy.current = true;
    setSending(true);
    setProblem(undefined);
    const isSame = await consequence.isStillTrue();
    const refused = isSame ? await run(act, fields, why.trim(), view.seen) : CHANGED;
    isBusy.current = false;
    setSending(false);
    if (refused !== undefined) {
      setProblem(refused);
      return;
    }
    setWhy('');
    close();
  };

  const isRead = consequence.isReady && !view.hasChanged;
  const isComplete =
    isRead && why.trim() !== '' && kind.fields.every((name) => !isRequired(name) || fields[name]);
  return (
    <dialog
      ref={dialog}
      class="confirm"
      aria-labelledby="confirm-title"
      onClose={() => asking.set(undefined)}
    >
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          if (isComplete) void confirm();
        }}
      >
        <h2 id="confirm-title">{kind.title(act, fields)}</h2>
        <p
          class="consequence"
          data-testid="confirm-consequence"
          data-state={consequence.isReady ? 'shown' : 'computing'}
          aria-live="polite"
        >
          {consequence.text}
        </p>
        {act.verb === 'reload' && <ReloadPanel />}
        <ActFields
          act={act}
          fields={fields}
          onChange={(name, value) => setFields({ ...fields, [name]: value })}
        />
        <label>
          Reason, for the event log
          <textarea
            data-testid="confirm-why"
            rows={2}
            maxLength={500}
            required
            value={why}
            onInput={({ currentTarget }) => setWhy(currentTarget.value)}
          />
        </label>
        {view.hasChanged && (
          <p class="note" role="status">
            The state of the pool has changed since this dialog was opened. Read the consequence above again.{' '}
            <button
              type="button"
              data-testid="confirm-look-again"
              disabled={!consequence.isReady}
              onClick={view.adopt}
            >
              I have read it
            </button>
          </p>
        )}
        {problem !== undefined && (
          <div role="alert">
            <ProblemText problem={problem} />
          </div>
        )}
        <p class="command">
          <code>{commandOf(act, fields, why.trim(), location.origin)}</code>
          <Copy text={commandOf(act, fields, why.trim(), location.origin)} what="command" />
        </p>
        <footer>
          <button type="button" data-testid="confirm-cancel" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="main" data-testid="confirm-ok" disabled={!isComplete || isSending}>
            {isSending ? 'Sending …' : kind.button}
          </button>
        </footer>
      </form>
    </dialog>
  );
}

const CHANGED: Problem = {
  status: 409,
  text: 'the consequence has changed, and nothing was done',
  next: 'Read it again, then confirm.',
};

function initialFields({ verb, pool }: Act): Fields {
  if (verb !== 'failback-policy') return {};
  const failback = live.value.status?.pools.find(({ name }) => name === pool)?.failback;
  return { policy: failback?.policy ?? 'never', zone: failback?.zone ?? '' };
}

function isRequired(name: FieldName): boolean {
  return name === 'instance' || name === 'policy';
}

/** The view of the pool that the operator has seen: the gateway refuses an act on another one. */
function useSeenView({ pool }: Act) {
  const { status } = useStore(live);
  const now = status?.pools.find(({ name }) => name === pool)?.view.id;
  const [seen, setSeen] = useState(now);
  return { seen, now, hasChanged: seen !== now, adopt: () => setSeen(now) };
}

const COMPUTING = 'Computing what this costs …';

/** The other gateways that serve agents; `undefined` if that is not known. */
function othersOf(answer: GatewaysAnswer | undefined): number | undefined {
  if (answer === undefined || answer.partial) return undefined;
  return answer.gateways.filter(({ self, state, silent }) => !self && !silent && state === 'Running').length;
}

/**
 * What the act costs, computed now and again when it is confirmed.
 *
 * @param view of the pool, as the page shows it; what was computed by another one is not ready to be confirmed
 */
function useConsequence(act: Act, fields: Fields, view: string | undefined) {
  const { status } = useStore(live);
  const path = consequencePath(act);
  const asked = usePoll<PoolConsequence>(path, CONSEQUENCE_MS, view);
  const peers = usePoll<GatewaysAnswer>(path === undefined ? '/gateways' : undefined, CONSEQUENCE_MS);
  if (path === undefined) {
    const isReady = status !== undefined && (peers.data ?? peers.problem) !== undefined;
    const text = isReady ? localConsequence(act, fields, status, othersOf(peers.data)) : COMPUTING;
    return { text, isReady, isStillTrue: () => Promise.resolve(true) };
  }
  const shown = asked.data;
  const isStillTrue = async (): Promise<boolean> => {
    const answer = await read<PoolConsequence>(path);
    // Without an answer the gateway decides: it refuses an act on a view that was not seen.
    if (!answer.ok || shown === undefined || !isSurprise(shown, answer.body)) return true;
    asked.again();
    return false;
  };
  const waiting = asked.problem?.text ?? COMPUTING;
  // Without a consequence the gateway still refuses what is not possible.
  const isReady = shown?.view === view || asked.problem !== undefined;
  return { text: shown?.text ?? waiting, isReady, isStillTrue };
}
