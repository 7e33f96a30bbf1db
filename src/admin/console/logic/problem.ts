/** Why a question to the gateway failed, with the next step. */
export interface Problem {
  /** 0 if no answer came. */
  readonly status: number;
  readonly text: string;
  readonly next: string;
  /** With 409: the view that the gateway acts on now. */
  readonly view?: string;
}

interface Question {
  /** It asked for a change. The page repeats what it reads, and never a change. */
  readonly isChange: boolean;
  readonly retryAfter: string | null;
}

/** @param body as the gateway sent it: an object, or a text */
export function problemOf(status: number, body: unknown, question: Question): Problem {
  const { error, view } = (typeof body === 'object' && body !== null ? body : {}) as {
    readonly error?: unknown;
    readonly view?: unknown;
  };
  // The gateway names the view by its id, which says nothing to an operator.
  if (typeof view === 'string')
    return { status, text: 'the state of the pool has changed, and nothing was done', next: DECIDE, view };
  const plain = typeof body === 'string' ? body.trim() : '';
  const text = typeof error === 'string' ? error : plain || `the gateway answered with status ${status}`;
  return { status, text, next: nextStep(status, text, question) };
}

const DECIDE = 'Look at the present state, then decide again.';

function nextStep(status: number, text: string, { isChange, retryAfter }: Question): string {
  switch (status) {
    case 400:
      return 'Correct the field that the text names.';
    case 401:
      return 'Log in.';
    case 403:
      return 'Log in as a user who may do this.';
    case 404:
      return 'Check the name; it may have ended meanwhile.';
    case 409:
      return DECIDE;
    case 421:
      return 'Open the console by an address of this gateway, or add the name to admin.hosts.';
    case 429:
      if (text.includes('try again')) return '';
      return `Wait${retryAfter === null ? '' : ` ${retryAfter} s`}, then try again.`;
    case 503:
      return `${isChange ? 'It is not repeated by itself: look at the events before you repeat it.' : 'It is tried again.'} The runbook says what to do if that lasts.`;
    default:
      return 'The log of the gateway has the cause.';
  }
}

export function noAnswer(isLate: boolean, isChange: boolean, withinMs: number): Problem {
  const text = isLate
    ? `the gateway has not answered within ${withinMs / 1_000} s`
    : 'the gateway does not answer';
  const next = isChange
    ? 'The outcome is not known: look at the events before you repeat it.'
    : 'It restarts, or has stopped and must be started on its host. It is tried again; meanwhile use the console of another gateway.';
  return { status: 0, text, next };
}
