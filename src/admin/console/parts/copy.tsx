import { useEffect, useState } from 'preact/hooks';
import { speak } from '../data/announcer.ts';
import { copyText } from '../data/clipboard.ts';
import { showHidden } from '../logic/text.ts';

const SHOWN_MS = 1_500;

interface CopyProps {
  readonly text: string;
  /** Completes "Copy …". */
  readonly what: string;
  /** The button shows its whole label instead of a sign. */
  readonly isWide?: boolean;
}

export function Copy({ text, what, isWide = false }: CopyProps) {
  const [outcome, setOutcome] = useState<'copied' | 'not copied'>();
  useEffect(() => {
    if (outcome === undefined) return undefined;
    const timer = setTimeout(() => setOutcome(undefined), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async (): Promise<void> => {
    const done = (await copyText(text)) ? 'copied' : 'not copied';
    setOutcome(done);
    speak(`${what} ${done}`);
  };
  const label = `Copy ${what}`;
  return (
    <button
      type="button"
      class={isWide ? 'copy wide-label' : 'copy'}
      data-testid={`copy-${what.replaceAll(' ', '-')}`}
      title={outcome ?? label}
      {...(isWide ? {} : { 'aria-label': label })}
      onClick={() => void copy()}
    >
      <Sign outcome={outcome} />
      {isWide ? ` ${outcome ?? label}` : ''}
    </button>
  );
}

function Sign({ outcome }: { readonly outcome: string | undefined }) {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true">
      {outcome === undefined && <path d="M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3" />}
      {outcome === 'copied' && <path d="M2.5 8.5l4 4 7-9" />}
      {outcome === 'not copied' && <path d="M3.5 3.5l9 9m0-9l-9 9" />}
    </svg>
  );
}

/** An id in letters of equal width, with a button that copies it. */
export function Id({ text, what }: { readonly text: string; readonly what: string }) {
  return (
    <span class="id">
      <code>{showHidden(text)}</code>
      <Copy text={text} what={what} />
    </span>
  );
}
