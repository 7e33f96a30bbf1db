import { useState } from 'preact/hooks';

/** A text that is typed. It survives a reload of the page in this tab, until it is cleared. */
export function useDraft(key: string): readonly [text: string, set: (text: string) => void] {
  const [text, setText] = useState(() => sessionStorage.getItem(key) ?? '');
  const set = (next: string): void => {
    setText(next);
    if (next === '') sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, next);
  };
  return [text, set];
}
