/** Copies a text. The clipboard of the browser is there for https and loopback only; elsewhere a selection is copied. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelection(text);
  }
}

function copySelection(text: string): boolean {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'visually-hidden';
  // Inside an open dialog, because everything outside of it cannot have the focus.
  const holder = document.querySelector('dialog[open]') ?? document.body;
  const focused = document.activeElement;
  holder.append(area);
  area.select();
  const isDone = document.execCommand('copy');
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return isDone;
}

/** Times that a person selects and copies arrive in ISO form, whatever zone is shown. */
export function copyTimesAsIso(): void {
  document.addEventListener('copy', (event) => {
    const selection = document.getSelection();
    if (selection === null || selection.rangeCount === 0 || event.clipboardData === null) return;
    const time = timeAround(selection);
    if (time === undefined) return;
    event.clipboardData.setData('text/plain', time);
    event.preventDefault();
  });
}

/** The time that holds the whole selection, or that is all of it. */
function timeAround(selection: Selection): string | undefined {
  const range = selection.getRangeAt(0);
  const node = range.commonAncestorContainer;
  const element = node instanceof Element ? node : node.parentElement;
  const outer = element?.closest('time');
  if (outer) return outer.dateTime;
  const content = range.cloneContents();
  const [only, ...others] = content.querySelectorAll('time');
  if (only === undefined || others.length > 0) return undefined;
  return content.textContent?.trim() === only.textContent?.trim() ? only.dateTime : undefined;
}
